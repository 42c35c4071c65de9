"""``textseg crossfit --weak-supervision``: the table alone; its trainings are models/align/weak.py."""

import json

import pytest
from typer.testing import CliRunner

import models.align.weak
from app.cli import app
from models.align.heads import Heads
from models.align.weak import BOUND, ENSEMBLE, ROWS, UNLABELLED, ZERO_SHOT
from models.evaluation.run import Row, Scored, StageScores


def scored(name, dsc):
    row = Row(name, "found", None, dsc, dsc, dsc, dsc, 0.1, 0.2)
    return Scored(row, StageScores(dsc, dsc, dsc), name, 1.0, False, None)


def without_target(name, status):
    row = Row(name, status, None, None, None, None, None, 0.0, None)
    return Scored(row, StageScores(None, None, None), name, 1.0, True, None)


@pytest.fixture
def compared(monkeypatch):
    plans = []

    def compare(plan, features, told):
        plans.append(plan)
        told("brain_mr: pseudo-labels", 1, 2)
        return {
            row: {
                origin: [
                    scored("a", 0.1 * n),
                    scored("b", 0.1 * n),
                    without_target("c", "found"),
                    *(without_target(name, "nothing-found") for name in "de"),
                ]
                for origin in plan.sets
            }
            for n, row in enumerate(ROWS, start=1)
        }

    monkeypatch.setattr(models.align.weak, "compare", compare)
    monkeypatch.setenv("COLUMNS", "200")
    return plans


def test_every_row_is_in_the_table_of_every_set_and_in_the_report(compared, tmp_path):
    report = tmp_path / "report.json"
    options = ["--weak-supervision", "--fold", 5, "--budget", 2, "--work", tmp_path, "--report", report]
    result = CliRunner().invoke(app, [str(one) for one in ("crossfit", tmp_path, *options)])
    assert result.exit_code == 0, result.output
    (plan,) = compared
    assert (plan.folds, plan.seconds) == ((5,), 120.0)
    assert all(plan.prompts[origin] for origin in UNLABELLED)
    for row in ROWS:
        assert result.stdout.count(row) == len(UNLABELLED)
    assert result.stdout.count("2 of 3") == len(ROWS) * len(UNLABELLED)
    written = json.loads(report.read_text())
    assert written["folds"] == [5]
    assert written["rows"][ZERO_SHOT]["brain_mr"]["dsc"]["mean"] == pytest.approx(0.1)
    assert written["rows"][BOUND]["chest_xray"]["dsc"]["ci95"] == pytest.approx([0.5, 0.5])
    assert written["rows"][ENSEMBLE]["brain_mr"]["target found"] == "2 of 2"
    assert ENSEMBLE in written["rows"]


def test_all_folds_and_sets_are_compared_where_none_is_named(compared, tmp_path):
    CliRunner().invoke(app, ["crossfit", str(tmp_path), "--weak-supervision"])
    assert compared[0].folds == (1, 2, 3, 4, 5)
    assert compared[0].sets == tuple(UNLABELLED)


@pytest.mark.parametrize("origin", UNLABELLED)
def test_one_set_may_be_compared_alone(compared, tmp_path, origin):
    run = ["crossfit", str(tmp_path), "--weak-supervision", "--set", origin]
    result = CliRunner().invoke(app, run)
    assert result.exit_code == 0, result.output
    assert compared[0].sets == (origin,)
    assert result.stdout.count("held-out images") == 1


def test_trainings_on_fewer_labels_or_minutes_are_kept_apart_and_heads_are_shared(compared, tmp_path):
    for options in (["--unlabelled", "9"], ["--budget", "2"], ["--each", "3"]):
        run = ["crossfit", str(tmp_path), "--weak-supervision", "--work", str(tmp_path), *options]
        assert CliRunner().invoke(app, run).exit_code == 0
    first, second, third = compared
    assert (first.unlabelled, second.seconds, third.each) == (9, 120.0, 3)
    assert len({plan.work for plan in compared}) == 3
    assert {plan.heads for plan in compared} == {Heads(tmp_path / "heads")}


def test_heads_of_rounded_features_are_kept_apart_unless_a_folder_is_given(compared, tmp_path):
    run = ["crossfit", str(tmp_path), "--weak-supervision", "--work", str(tmp_path), "--bf16"]
    assert CliRunner().invoke(app, run).exit_code == 0
    assert CliRunner().invoke(app, [*run, "--heads", str(tmp_path / "kept")]).exit_code == 0
    folders = (tmp_path / "heads-bf16", tmp_path / "kept")
    assert [plan.heads for plan in compared] == [Heads(folder, bf16=True) for folder in folders]
