"""Finished parts of a cross-fit come back as they were, and are not computed twice."""

from pathlib import Path

from models.align.results import kept, key, scored_from_json, scored_to_json, words_from_json
from models.errors import Code
from models.evaluation.calibration import Calibration
from models.evaluation.run import Row, Scored, StageScores
from models.evaluation.words import Agreement, Count, Words, merged
from models.settings import Settings


def scored() -> Scored:
    row = Row("a", "nothing-found", Code.TARGET_ABSENT, 0.0, 0.0, 0.0, 0.5, 0.0, None)
    judged = Calibration((1.0,), (0.5,), (0.25,), (0.0, 0.1), 0.02)
    return Scored(row, StageScores(0.0, 0.0, 0.0), "patient", 1.5, False, None, calibration=judged)


def test_scored_images_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "new" / "part.json"
    first = {"brain_mr": [scored()]}
    assert scored_from_json(kept(path, lambda: scored_to_json(first))) == first
    assert scored_from_json(kept(path, lambda: 1 / 0)) == first


def test_another_head_or_other_settings_are_another_part(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    names = {
        key(one, Settings()),
        key(two, Settings()),
        key(one, Settings(relevance=0.9)),
        key(one, Settings(), "x"),
    }
    assert len(names) == 4
    assert key(one, Settings()) in names


def test_words_of_folds_add_up_and_agreement_is_weighed_by_pairs() -> None:
    first = Words({"right": Count(4, 3)}, Agreement(1.0, 3, 3, 0))
    second = Words({"right": Count(6, 6), "nonsense": Count(2, 0)}, Agreement(0.6, 1, 1, 2))
    whole = merged([first, second])
    assert whole.kinds == {"right": Count(10, 9), "nonsense": Count(2, 0)}
    assert whole.agreement == Agreement(0.9, 4, 4, 2)


def test_words_without_a_pair_have_no_agreement() -> None:
    assert merged([Words({}, Agreement(None, 0, 0, 1))]).agreement == Agreement(None, 0, 0, 1)


def test_counts_of_words_come_back_as_they_were(tmp_path: Path) -> None:
    words = Words({"right": Count(4, 3)}, Agreement(None, 0, 0, 1))
    stored = {
        "chest_xray": {"kinds": {"right": {"asked": 4, "found": 3}}, "agreement": vars(words.agreement)}
    }
    assert words_from_json(stored) == {"chest_xray": words}
