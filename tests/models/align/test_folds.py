"""Folds: committed, by patient, and the same whenever they are dealt again."""

from collections import Counter

from models.align.folds import assign, committed, patient_of


def test_patients_are_read_from_names_that_tell_them() -> None:
    assert patient_of("busbra_benign_0847-s") == patient_of("busbra_benign_0847-l") == "busbra_0847"
    assert patient_of("busi_benign_3") == "busi_benign_3"
    assert patient_of("CHNCXR_0011_0") == "CHNCXR_0011_0"


def test_no_patient_is_in_two_folds() -> None:
    folds: dict[tuple[str, str], set[int]] = {}
    for (origin, name), fold in committed().items():
        folds.setdefault((origin, patient_of(name)), set()).add(fold)
    assert all(len(own) == 1 for own in folds.values())


def test_folds_are_even() -> None:
    counts = Counter((origin, fold) for (origin, _), fold in committed().items())
    for origin in {origin for origin, _ in counts}:
        sizes = [counts[origin, fold] for fold in range(1, 6)]
        assert max(sizes) - min(sizes) <= 1


def test_dealing_again_in_another_order_gives_the_same_folds() -> None:
    names = [(f"busbra_benign_{number:04}-{view}", "benign") for number in range(9) for view in "ls"]
    assert assign(names) == assign(reversed(names))
