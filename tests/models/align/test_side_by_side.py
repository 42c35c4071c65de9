"""Rows of held-out images over all folds."""

from models.align.side_by_side import ROWS, joined
from models.evaluation.variant import Result, Variant

ROW = Variant("a row")


def part(scores: dict[str, float]) -> Result:
    rows = [{"name": name, "dsc": value, "nsd": None} for name, value in scores.items()]
    return Result(ROW, {"images": rows, "summary": {}})


def test_folds_are_joined_by_image_and_judged_by_patient() -> None:
    whole = joined(
        ROW, [part({"busbra_benign_0847-s": 0.2, "busbra_benign_0847-l": 0.4}), part({"busi_benign_1": 0.9})]
    )
    assert whole.report is not None
    assert whole.report["summary"]["dsc"]["mean"] == 0.5
    assert len(whole.report["images"]) == 3
    assert whole.report["summary"]["nsd"] == {"mean": None, "ci95": None}


def test_a_row_that_one_fold_could_not_run_says_why() -> None:
    whole = joined(ROW, [part({"a": 1.0}), Result(ROW, None, "no weights")])
    assert whole.report is None
    assert whole.reason == "no weights"


def test_every_method_stands_in_both_modes_and_every_baseline_once() -> None:
    methods = [(row.method, row.mode) for row in ROWS if row.baseline is None]
    assert len(methods) == len(set(methods)) == 6
    assert all(row.missing is None for row in ROWS)
    assert len({row.label for row in ROWS}) == len(ROWS)
