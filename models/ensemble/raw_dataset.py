"""Images and labels as nnU-Net's raw data set, and the settings that nnU-Net reads from the environment.

Labels are 0 and 1 there, never 0 and 255, the most common way to train nnU-Net on nothing.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from models.ensemble.framing import Framing, framed, framed_mask
from models.errors import Code, DatasetError
from models.labelled import Labelled

NAME = "Dataset001_textseg"
GREY = "grey"
"""The channel's name; nnU-Net normalises every channel that it does not know by its mean and deviation."""


@contextmanager
def nnunet_environment(work: Path, loaders: int = 0) -> Iterator[None]:
    """Let nnU-Net work below ``work``, find our trainer, not compile, and load with ``loaders`` processes.

    With 0 batches are made in the training process itself, in an order that a seed repeats; nnU-Net's planner
    wants at least 1, which it takes for a number of threads. The environment is as before afterwards.
    """
    values = {
        "nnUNet_raw": str(work / "raw"),
        "nnUNet_preprocessed": str(work / "preprocessed"),
        "nnUNet_results": str(work / "results"),
        "nnUNet_extTrainer": str(files("models.ensemble.nnunet")),
        "nnUNet_compile": "0",
        "nnUNet_n_proc_DA": str(loaders),
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def write_raw(labelled: Iterable[Labelled], work: Path, framing: Framing) -> dict[str, str]:
    """Write nnU-Net's raw data set below ``work`` and return the patient of every case.

    Raises DatasetError (DATASET-INVALID) when there is no label with a target, or a name appears twice.
    """
    folder = work / "raw" / NAME
    images, labels = folder / "imagesTr", folder / "labelsTr"
    for one in (images, labels):
        one.mkdir(parents=True, exist_ok=True)
    patients: dict[str, str] = {}
    targets = 0
    views = (view for item in labelled for view in framing.views(item, seed=0))
    for item in views:
        if item.name in patients:
            raise DatasetError(Code.DATASET_INVALID, f"two images are called {item.name}; rename one")
        patients[item.name] = item.patient or item.name
        mask = framed_mask(item.mask, framing.side)
        targets += bool(mask.any())
        Pillow.fromarray(framed(item.image, framing.side)).save(images / f"{item.name}_0000.png")
        Pillow.fromarray(mask.astype(np.uint8)).save(labels / f"{item.name}.png")
    if targets == 0:
        raise DatasetError(Code.DATASET_INVALID, "no label shows a target: there is nothing to learn")
    description = {
        "channel_names": {"0": GREY},
        "labels": {"background": 0, "target": 1},
        "numTraining": len(patients),
        "file_ending": ".png",
        "overwrite_image_reader_writer": "NaturalImage2DIO",
        # Where files are not listed nnU-Net lists them in forked processes, and a fork of a process with
        # threads (torch has some) can wait for ever.
        "dataset": {
            name: {"images": [f"imagesTr/{name}_0000.png"], "label": f"labelsTr/{name}.png"}
            for name in patients
        },
    }
    (folder / "dataset.json").write_text(json.dumps(description, indent=1), encoding="utf-8")
    return patients


def split(patients: Mapping[str, str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Return the cases to train on and those held back, both sorted; a patient is on one side only.

    About ``share`` of the patients are held back, at least one.
    Raises DatasetError (DATASET-INVALID) when fewer than two patients leave nothing to hold back.
    """
    groups = sorted(set(patients.values()))
    if len(groups) < 2:
        raise DatasetError(Code.DATASET_INVALID, "one patient alone cannot be split; give images of more")
    order = np.random.default_rng(seed).permutation(len(groups))
    held = {groups[index] for index in order[: max(1, round(share * len(groups)))]}
    return _of(patients, [g for g in groups if g not in held]), _of(patients, sorted(held))


def _of(patients: Mapping[str, str], groups: Sequence[str]) -> list[str]:
    chosen = set(groups)
    return sorted(name for name, patient in patients.items() if patient in chosen)
