"""A folder of pseudo-labels: a data set like any other, and what each label is worth.

images/NAME.png, masks/NAME.png   the images, and 0/255 as the method answered (all zero: nothing found)
pseudo-labels.csv                 name, code, confidence, uncertainty, foreground_fraction; a row per image
record.json                       method, bundle, prompts, settings: what the labels are made of
groups.csv                        copied where the images came with one

Every finished image is a finished row, so that an interrupted run goes on.
"""

import csv
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from models.ensemble.pseudo_label import PseudoLabel, pseudo_labels
from models.errors import Code, DatasetError
from models.evaluation.dataset import images_in, open_dataset, read_image
from models.evaluation.files import replace_text
from models.labelled import Labelled, read_labelled

if TYPE_CHECKING:
    from models.method import Method

TABLE, RECORD = "pseudo-labels.csv", "record.json"
COLUMNS = ("name", "code", "confidence", "uncertainty", "foreground_fraction")


@dataclass(frozen=True)
class Row:
    """One line of the table; ``code`` says why the label is empty, None where it is not."""

    name: str
    code: Code | None
    confidence: float
    uncertainty: float | None
    foreground_fraction: float


def source_images(folder: Path) -> list[Path]:
    """Return the PNG images of ``folder/images``, or of the folder itself. Raises DatasetError."""
    inner = folder / "images"
    return images_in(inner if inner.is_dir() else folder)


def begin(out: Path, record: Mapping[str, Any], groups: Path) -> dict[str, Row]:
    """Prepare the folder and return the rows that an earlier run finished, by name.

    Raises DatasetError (RUN-MISMATCH) when that run had another record.
    """
    for name in ("images", "masks"):
        (out / name).mkdir(parents=True, exist_ok=True)
    path = out / RECORD
    text = json.dumps(record, indent=1, sort_keys=True)
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise DatasetError(
            Code.RUN_MISMATCH,
            f"{out}: holds labels of another method, bundle or prompt (record.json); give another folder",
        )
    replace_text(path, text)
    if groups.is_file():
        shutil.copyfile(groups, out / "groups.csv")
    if not (out / TABLE).is_file():
        replace_text(out / TABLE, ",".join(COLUMNS) + "\n")
    return {row.name: row for row in read_rows(out)}


def label(
    out: Path, images: Mapping[str, Path], method: "Method", prompts: Sequence[str], base_seed: int = 0
) -> Iterator[Row]:
    """Label images by their names, and yield each row when it is written. Raises as the method does."""
    shown = ((name, read_image(path)) for name, path in images.items())
    for one in pseudo_labels(shown, method, prompts, base_seed):
        yield add(out, images[one.name], one)


def add(out: Path, image: Path, label: PseudoLabel) -> Row:
    """Write one image's label; its row comes last, when everything else of it is there."""
    shutil.copyfile(image, out / "images" / f"{label.name}.png")
    Pillow.fromarray(label.mask.astype(np.uint8) * 255).save(out / "masks" / f"{label.name}.png")
    row = Row(label.name, label.code, label.confidence, label.uncertainty, float(label.mask.mean()))
    with (out / TABLE).open("a", encoding="utf-8", newline="") as file:
        uncertainty = "" if row.uncertainty is None else f"{row.uncertainty:.6f}"
        values = (
            row.name,
            row.code or "",
            f"{row.confidence:.6f}",
            uncertainty,
            f"{row.foreground_fraction:.6f}",
        )
        csv.writer(file, lineterminator="\n").writerow(values)
    return row


def read_rows(folder: Path) -> Iterator[Row]:
    """Yield the finished rows of a folder. Raises DatasetError (DATASET-INVALID) where there is no table."""
    path = folder / TABLE
    if not path.is_file():
        raise DatasetError(
            Code.DATASET_INVALID, f"{path}: missing; make pseudo-labels with `textseg pseudo-label` first"
        )
    with path.open(encoding="utf-8", newline="") as file:
        for values in csv.DictReader(file):
            if None in values.values():
                continue  # the line that an interrupted run did not finish
            yield Row(
                values["name"],
                Code(values["code"]) if values["code"] else None,
                float(values["confidence"]),
                float(values["uncertainty"]) if values["uncertainty"] else None,
                float(values["foreground_fraction"]),
            )


def believed(folder: Path, least: float) -> tuple[Labelled, ...]:
    """Return the images whose label has at least this confidence, empty labels of absent targets too.

    Raises DatasetError (DATASET-INVALID) when none has.
    """
    trusted = {row.name for row in read_rows(folder) if row.confidence >= least}
    items = [item for item in open_dataset(folder).items if item.name in trusted]
    if not items:
        raise DatasetError(
            Code.DATASET_INVALID, f"{folder}: no label has a confidence of {least}; lower --least-confidence"
        )
    return read_labelled(items)
