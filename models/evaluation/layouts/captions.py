"""Data sets of images with captions, for fine-tuning and retrieval."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import Code, DatasetError
from models.evaluation.files import replace_text

PLACEHOLDERS = ("replace this", "description of the image or findings")
"""What MedPix holds where nobody wrote a caption."""


@dataclass(frozen=True)
class Captioned:
    """An image file with its caption; images of one case share the text's subject and ``case``."""

    image: Path
    caption: str
    case: str


def roco(folder: Path) -> tuple[Captioned, ...]:
    """Read the ``radiology`` folder of one split of ROCO: ``captions.txt`` and ``images/NAME.jpg``.

    A line is a name, a tab and a caption.

    Every image is a case of its own. A caption whose image was not downloaded is left out, as publishers
    withdraw images. Raises DatasetError (DATASET-INVALID) where nothing is left or a line has no tab.
    """
    listed = folder / "captions.txt"
    found = []
    for number, line in enumerate(_read(listed).splitlines(), start=1):
        if not line.strip():
            continue
        name, tab, caption = line.partition("\t")
        if not tab:
            raise DatasetError(
                Code.DATASET_INVALID, f"{listed}:{number}: expected a name, a tab and a caption"
            )
        image = folder / "images" / f"{name.strip()}.jpg"
        if image.is_file() and caption.strip():
            found.append(Captioned(image, caption.strip(), name.strip()))
    return _some(found, folder)


def medpix(folder: Path) -> tuple[Captioned, ...]:
    """Read MedPix 2.0: ``Descriptions.json`` (a list) or ``descriptions_*.jsonl``, and ``images/NAME.png``.

    ``U_id`` is the case. Entries without an image file, without a caption or with the form's own text in its
    place are left out. Raises DatasetError (DATASET-INVALID).
    """
    found = []
    for source, entry in _entries(folder):
        try:
            name, case, caption = entry["image"], entry["U_id"], entry["Description"]["Caption"]
        except (KeyError, TypeError) as error:
            raise DatasetError(
                Code.DATASET_INVALID, f"{source}: an entry without image, U_id or Description.Caption"
            ) from error
        image = folder / "images" / f"{name}.png"
        words = " ".join((caption or "").split())
        if image.is_file() and words and not any(form in words.lower() for form in PLACEHOLDERS):
            found.append(Captioned(image, words, case))
    return _some(found, folder)


def write_captions(pairs: Sequence[Captioned], table: Path) -> int:
    """Write image, caption and patient (the case) as CSV, images by absolute path; return how many."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("image", "caption", "patient"))
    writer.writerows((pair.image.resolve(), pair.caption, pair.case) for pair in pairs)
    table.parent.mkdir(parents=True, exist_ok=True)
    replace_text(table, text.getvalue())
    return len(pairs)


def _entries(folder: Path) -> list[tuple[Path, Any]]:
    lines = sorted(folder.glob("descriptions_*.jsonl"))
    lists = [path for name in ("Descriptions.json", "Description.json") if (path := folder / name).is_file()]
    try:
        if lines:
            return [
                (path, json.loads(line))
                for path in lines
                for line in _read(path).splitlines()
                if line.strip()
            ]
        return [(path, entry) for path in lists[:1] for entry in json.loads(_read(path))]
    except ValueError as error:
        raise DatasetError(
            Code.DATASET_INVALID, f"{folder}: the descriptions are no JSON ({error})"
        ) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(Code.DATASET_INVALID, f"{path}: cannot be read as UTF-8 ({error})") from error


def _some(found: list[Captioned], folder: Path) -> tuple[Captioned, ...]:
    if not found:
        raise DatasetError(Code.DATASET_INVALID, f"{folder}: no image with a caption; see docs/datasets.md")
    return tuple(found)
