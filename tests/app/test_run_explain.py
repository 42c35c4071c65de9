"""``textseg explain``: which rule takes which series, without any model."""

import json
import subprocess
import sys

from app.config import load_config
from app.explain import explain
from tests.operators.synthetic import radiograph, volume


def test_every_series_is_explained_under_every_task(tmp_path, capsys):
    volume(tmp_path / "ct")
    radiograph(tmp_path / "x.dcm")
    (tmp_path / "notes.txt").write_text("no")
    config = load_config()
    explain(tmp_path, config, as_json=True)
    content = json.loads(capsys.readouterr().out)
    assert len(content["runs"]) == 2 * len(config.tasks)
    decided = {(run["task"], run["modality"]): run["decision"] for run in content["runs"]}
    assert decided["liver", "CT"] == "run"
    assert decided["liver", "CR"] == "left-out"
    assert decided["chest-lungs", "CR"] == "run"
    assert [note["file"] for note in content["files"]] == ["notes.txt"]


def test_the_table_says_why(tmp_path, capsys):
    volume(tmp_path)[2].unlink()
    explain(tmp_path, load_config())
    shown = " ".join(capsys.readouterr().out.split())
    assert "refused" in shown
    assert "One series per study" in shown


def test_explaining_needs_no_models():
    heavy = "{'torch', 'monai', 'holoscan'}"
    code = f"import sys, app.explain, app.run; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
