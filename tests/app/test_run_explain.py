"""``textseg explain``: which rule takes which series, without any model."""

import json
import subprocess
import sys

from app.config import load_config
from app.explain import explain
from tests.operators.synthetic import ROOT, radiograph, volume


def test_every_series_is_explained_under_every_task(tmp_path, capsys):
    volume(tmp_path / "ct")
    radiograph(tmp_path / "x.dcm")
    (tmp_path / "notes.txt").write_text("no")
    config = load_config()
    explain(tmp_path, config, as_json=True)
    content = json.loads(capsys.readouterr().out)
    assert [len(series["rules"]) for series in content["series"]] == [len(config.tasks)] * 2
    decided = {
        (rule["task"], series["modality"]): rule["decision"]
        for series in content["series"]
        for rule in series["rules"]
    }
    assert decided["liver", "CT"] == "run"
    assert decided["liver", "CR"] == "left-out"
    assert decided["chest-lungs", "CR"] == "run"
    assert [note["file"] for note in content["files"]] == ["notes.txt"]


def test_each_phase_of_a_series_is_explained(tmp_path, capsys):
    for number in (1, 2):
        volume(tmp_path / str(number), edit=acquired(number))
    explain(tmp_path, load_config(), as_json=True)
    (series,) = json.loads(capsys.readouterr().out)["series"]
    liver = [rule for rule in series["rules"] if rule["task"] == "liver"]
    assert [(rule["phase"], rule["images"], rule["decision"]) for rule in liver] == [
        ("AcquisitionNumber=1", 6, "run"),
        ("AcquisitionNumber=2", 6, "run"),
    ]


def acquired(number):
    def edit(image, index):
        image.AcquisitionNumber = number
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.2.{number}.{index}"

    return edit


def test_one_table_tells_for_every_series_what_every_rule_made_of_it(tmp_path, capsys):
    volume(tmp_path / "ct")
    radiograph(tmp_path / "x.dcm")
    config = load_config()
    explain(tmp_path, config)
    shown = capsys.readouterr().out
    assert shown.count("Which rule takes which series") == 1
    ct, cr = shown[shown.index("CT 4") : shown.index("CR 4")], shown[shown.index("CR 4") :]
    for task in config.tasks:
        assert task.name in ct
        assert task.name in cr
    assert "Modality CT is not US." in ct
    assert "ct-lungs, liver" in ct


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
