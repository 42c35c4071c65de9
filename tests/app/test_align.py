"""``textseg crossfit --side-by-side``: the table alone, with what its reader must know."""

import json

import pytest
from typer.testing import CliRunner

from app import align
from app.cli import app
from models.evaluation.grid import Cell, Line

SETS = {"breast_ultrasound": 10, "brain_mr": 9, "chest_xray": 10}


@pytest.fixture
def compared(monkeypatch):
    """The command's two costly stages replaced: heads that lie there, one finished line; the plans asked."""
    import models.align.side_by_side

    plans = []

    def compare(plan, heads, progress):
        plans.append((plan, heads))
        progress("fold 1, brain_mr: SaLIP", 1, 2)
        cells = {name: {"dsc": Cell(0.5, 0.1, (0.4, 0.6), count)} for name, count in SETS.items()}
        return (Line("Zero-shot: SaLIP, paper", cells, {}),), SETS

    monkeypatch.setattr(align, "_heads", lambda *_: ["head"])
    monkeypatch.setattr(models.align.side_by_side, "compare", compare)
    monkeypatch.setenv("COLUMNS", "250")
    return plans


def test_side_by_side_asks_every_set_its_tasks_prompts_and_prints_only_its_table(compared, tmp_path):
    report = tmp_path / "report.json"
    options = ["--work", tmp_path / "work", "--side-by-side", "--each", 3, "--report", report]
    result = CliRunner().invoke(app, [str(one) for one in ("crossfit", tmp_path, *options)])

    assert result.exit_code == 0, result.output
    ((plan, heads),) = compared
    assert (plan.data, plan.work, plan.each) == (tmp_path, tmp_path / "work" / "side-by-side", 3)
    assert set(plan.prompts) == set(SETS)
    assert all(plan.prompts.values())
    assert heads == ["head"]
    assert result.stdout.count("Zero-shot: SaLIP, paper") == 1
    said = " ".join(result.stdout.split())
    assert "10 of breast_ultrasound, 9 of brain_mr, 10 of chest_xray" in said
    assert "Every row is held out" in said
    written = json.loads(report.read_text())
    assert set(written) == {"side_by_side"}
    assert written["side_by_side"]["images"] == SETS
    assert written["side_by_side"]["rows"][0]["scores"]["brain_mr"]["dsc"]["mean"] == 0.5


def test_without_side_by_side_no_methods_are_compared(compared, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(align, "crossfit", lambda *arguments: asked.append(arguments))

    assert CliRunner().invoke(app, ["crossfit", str(tmp_path)]).exit_code == 0
    assert len(asked) == 1
    assert compared == []
