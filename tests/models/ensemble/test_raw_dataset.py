import json
import os

import numpy as np
import pytest
from PIL import Image as Pillow

from models.ensemble.framing import Framing
from models.ensemble.raw_dataset import NAME, nnunet_environment, split, write_raw
from models.errors import Code, DatasetError
from models.labelled import Labelled
from tests.models.ensemble.small import disc, discs


def test_labels_are_0_and_1_and_images_one_grey_channel(tmp_path):
    patients = write_raw(discs(3), tmp_path, Framing(32))
    folder = tmp_path / "raw" / NAME
    assert patients == {f"disc_{n:02}": f"disc_{n:02}" for n in range(3)}
    label = np.asarray(Pillow.open(folder / "labelsTr" / "disc_00.png"))
    image = Pillow.open(folder / "imagesTr" / "disc_00_0000.png")
    assert set(np.unique(label)) == {0, 1}
    assert (image.mode, image.size) == ("L", (32, 32))
    described = json.loads((folder / "dataset.json").read_text())
    assert described["labels"] == {"background": 0, "target": 1}
    assert described["numTraining"] == 3


def test_two_images_of_one_name_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="two images are called twice"):
        write_raw([disc("twice", 0), disc("twice", 1)], tmp_path, Framing(32))


def test_labels_without_any_target_are_refused(tmp_path):
    empty = Labelled("empty", np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), bool))
    with pytest.raises(DatasetError) as error:
        write_raw([empty], tmp_path, Framing(32))
    assert error.value.code is Code.DATASET_INVALID


def test_a_patient_is_either_trained_on_or_held_back():
    patients = {f"image_{n}": f"patient_{n // 3}" for n in range(60)}
    trained, held = split(patients, 0.1, 0)
    assert sorted(trained + held) == sorted(patients)
    assert {patients[name] for name in trained}.isdisjoint(patients[name] for name in held)
    assert len({patients[name] for name in held}) == 2
    assert (trained, held) == split(dict(reversed(patients.items())), 0.1, 0)


def test_one_patient_cannot_be_split():
    with pytest.raises(DatasetError, match="one patient"):
        split({"a": "p", "b": "p"}, 0.1, 0)


def test_the_environment_is_as_before_afterwards(tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", "mine")
    monkeypatch.delenv("nnUNet_results", raising=False)
    with nnunet_environment(tmp_path):
        assert os.environ["nnUNet_raw"] == str(tmp_path / "raw")  # noqa: SIM112, nnU-Net's own names
        assert os.environ["nnUNet_n_proc_DA"] == "0"  # noqa: SIM112
    assert os.environ["nnUNet_raw"] == "mine"  # noqa: SIM112
    assert "nnUNet_results" not in os.environ
