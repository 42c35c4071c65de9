"""Labelled images, and that nothing is judged on what it learnt from."""

from pathlib import Path

import numpy as np
import pytest

from models.errors import Code, DatasetError
from models.evaluation.dataset import open_dataset
from models.labelled import Labelled, draw, identities, identity, read_labelled, refuse_overlap
from tests.models.evaluation.folders import dataset


def image(value: int) -> np.ndarray:
    return np.full((4, 6, 3), value, np.uint8)


def labelled(count: int) -> list[Labelled]:
    return [Labelled(f"n{index}", image(index), np.ones((4, 6), bool)) for index in range(count)]


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(DatasetError) as refused:
        Labelled("n", image(0), np.ones((6, 4), bool))
    assert refused.value.code == Code.DATASET_INVALID


def test_a_draw_follows_seed_and_names_not_the_order() -> None:
    everyone = labelled(12)
    names = [one.name for one in draw(everyone, 4, seed=1)]
    assert names == [one.name for one in draw(everyone[::-1], 4, seed=1)]
    assert names == sorted(set(names))
    assert len(names) == 4
    assert any(names != [one.name for one in draw(everyone, 4, seed=seed)] for seed in range(2, 6))
    assert len(draw(everyone, 50, seed=1)) == 12


def test_the_same_pixels_are_the_same_image_and_the_same_name_is_not() -> None:
    learnt = labelled(3)
    refuse_overlap(learnt, [identity("n0", image(99))])
    with pytest.raises(DatasetError, match="copy"):
        refuse_overlap(learnt, [identity("copy", image(1))])


def test_one_patient_is_not_learnt_from_and_judged() -> None:
    learnt = [Labelled("a", image(0), np.ones((4, 6), bool), "P1")]
    refuse_overlap(learnt, [identity("b", image(1), "P2"), identity("c", image(2), None)])
    with pytest.raises(DatasetError, match="patient"):
        refuse_overlap(learnt, [identity("b", image(1), "P1")])


def test_a_data_set_is_read_with_its_patients(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "set", ("a", "b"))
    (folder / "groups.csv").write_text("name,patient\na,P1\nb,b\n")
    items = open_dataset(folder).items
    read = read_labelled(items)
    assert [(one.name, one.patient) for one in read] == [("a", "P1"), ("b", None)]
    assert read[0].mask.any()
    assert [one.name for one in identities(items)] == ["a", "b"]
    with pytest.raises(DatasetError):
        refuse_overlap(read, identities(items))
