"""Pairs of image and caption from a CSV file, cleaned by a stated rule and checked before any training.

    image,caption[,patient]

``filename`` and ``Caption``, the columns of the papers' script, are read too, whatever their case; the
separator is a comma, semicolon or tab. Without a patient every image counts as its own.
"""

import csv
import unicodedata
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.errors import Code, DatasetError, TextsegError
from models.evaluation.dataset import read_image

FORMATS = ("PNG", "JPEG")
COLUMNS = {"image": ("image", "filename"), "caption": ("caption",), "patient": ("patient",)}
SEPARATORS = ",;\t"


@dataclass(frozen=True)
class Cleaning:
    """How a caption is cleaned, in this order; the paper names no more than "special characters".

    Control characters become spaces, invisible formatting is dropped, the text is normalised (NFKC),
    what is neither letter, mark, digit nor ``punctuation`` becomes a space, white space is collapsed.
    Captions of fewer than ``shortest`` characters are left out, as in the paper.
    """

    shortest: int = 20
    punctuation: str = ".,;:!?'\"()/%+-<>=&"

    def clean(self, caption: str) -> str:
        """Return the cleaned caption. Cleaning twice changes nothing."""
        visible = "".join(" " if _is(one, "Cc") else one for one in caption if not _is(one, "Cf"))
        normal = unicodedata.normalize("NFKC", visible)
        kept = (one if _is(one, "L", "M", "N") or one in self.punctuation else " " for one in normal)
        return " ".join("".join(kept).split())

    def record(self) -> dict[str, Any]:
        """Return the rule as plain values."""
        return {"unicode": "NFKC", "kept": "letters, marks, digits, punctuation", **asdict(self)}


def _is(character: str, *categories: str) -> bool:
    return unicodedata.category(character).startswith(categories)


@dataclass(frozen=True)
class Pair:
    """An image file, what is said about it, and whose it is."""

    image: Path
    caption: str
    patient: str


@dataclass(frozen=True)
class Captions:
    """The usable pairs of a file in its order, and how many were left out for a short caption."""

    pairs: tuple[Pair, ...]
    too_short: int
    cleaning: Cleaning = field(default_factory=Cleaning)


def read_captions(table: Path, images: Path, cleaning: Cleaning | None = None) -> Captions:
    """Read pairs from a CSV file; image names are relative to the folder ``images``.

    Raises
    ------
    DatasetError
        DATASET-INVALID with file and line: no such columns, a row without image or caption, an image that is
        missing or named twice, no two captions long enough. PIXELS-UNDECODABLE: an image that cannot be read.
    """
    cleaning = cleaning or Cleaning()
    pairs, lines, too_short = [], dict[str, int](), 0
    for line, row in _rows(table):
        where = f"{table}:{line}"
        name = row["image"]
        if name in lines:
            raise _invalid(f"{where}: the image {name} is named twice, first in line {lines[name]}")
        lines[name] = line
        image = _checked(images, name, where)
        caption = cleaning.clean(row["caption"])
        if len(caption) < cleaning.shortest:
            too_short += 1
            continue
        pairs.append(Pair(image, caption, row["patient"] or name))
    if len(pairs) < 2:
        raise _invalid(
            f"{table}: {len(pairs)} usable pairs, {too_short} captions have fewer than {cleaning.shortest} "
            "characters; training needs at least 2"
        )
    return Captions(tuple(pairs), too_short, cleaning)


def _rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    """Return line number and the three columns of every row; image and caption are not empty."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            separator = max(SEPARATORS, key=file.readline().count)
            file.seek(0)
            reader = csv.DictReader(file, delimiter=separator, skipinitialspace=True, strict=True)
            names = _columns(table, list(reader.fieldnames or ()))
            rows = []
            for row in reader:
                cells = {column: (row[name] or "").strip() for column, name in names.items()}
                rows.append((reader.line_num, {"patient": "", **cells}))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _invalid(f"{table}: cannot be read as CSV in UTF-8 ({error})") from error
    for line, cells in rows:
        for column in ("image", "caption"):
            if not cells[column]:
                raise _invalid(f"{table}:{line}: no {column}; fill it in or remove the row")
    return rows


def _columns(table: Path, header: list[str]) -> dict[str, str]:
    """Return the header's own name of each column that it has."""
    found = {}
    for column, names in COLUMNS.items():
        own = next((name for name in header if name.strip().lower() in names), None)
        if own is not None:
            found[column] = own
    missing = [column for column in ("image", "caption") if column not in found]
    if missing:
        lacking = " and no ".join(missing)
        raise _invalid(
            f"{table}: the first line must name the columns image,caption[,patient]; it has no {lacking}"
        )
    return found


def _checked(images: Path, name: str, where: str) -> Path:
    path = images / name
    if not path.is_file():
        raise _invalid(f"{where}: there is no image {path}")
    try:
        read_image(path, FORMATS)
    except TextsegError as error:
        raise DatasetError(error.code, f"{where}: {error.message}") from error
    return path


def _invalid(message: str) -> DatasetError:
    return DatasetError(Code.DATASET_INVALID, message)
