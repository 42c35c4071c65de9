"""The folder layout of a data set for evaluation, checked before anything is computed.

images/NAME.png   8-bit grey or RGB, ready for display
masks/NAME.png    0/255 (0/1 is read too); all zero: the target is absent
prompts.csv       optional: name, prompt; several rows of one name are wordings of the same thing
groups.csv        optional: name, patient; images of one patient are resampled together
subtypes.csv      optional: name, subtype; read only by what asks with prompts of subtypes (P1, P3, P5)

Data sets that come in other folders: :mod:`models.evaluation.layouts`.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from models.contracts import Image
from models.errors import Code, DatasetError
from models.evaluation.metrics import Mask
from models.intensity import IDENTITY, display

_GREY = ("1", "L", "LA")
_COLOUR = ("P", "RGB", "RGBA")
_OTHER_FORMATS = frozenset(
    {".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".dcm", ".nii", ".npy"}
)


@dataclass(frozen=True)
class Item:
    """One image of a data set.

    Attributes
    ----------
    name
        Unique in the data set.
    image, mask
        The files, for messages; :meth:`pixels` and :meth:`truth` read them.
    prompts
        Empty where prompts.csv says nothing about the image.
    patient
        Images of one patient are not independent; the name where nothing is known.
    subtype
        What the image-level label says, None without one. A method that is told it uses a label.
    load_image, load_mask
        How a layout reads what is not one PNG each, on equal grids; None: as PNG.
    """

    name: str
    image: Path
    mask: Path
    prompts: tuple[str, ...]
    patient: str
    subtype: str | None = None
    load_image: Callable[[], Image] | None = None
    load_mask: Callable[[], Mask] | None = None

    def pixels(self) -> Image:
        """Return the image (H, W, 3) uint8 RGB. DatasetError (PIXELS-UNDECODABLE)."""
        return read_image(self.image) if self.load_image is None else self.load_image()

    def truth(self) -> Mask:
        """Return the true mask (H, W). DatasetError (PIXELS-UNDECODABLE, DATASET-INVALID)."""
        return read_mask(self.mask) if self.load_mask is None else self.load_mask()


@dataclass(frozen=True)
class Dataset:
    """The images of a folder, sorted by name. ``has_prompts``: the folder has a prompts.csv."""

    folder: Path
    items: tuple[Item, ...]
    has_prompts: bool


def read_image(path: Path, formats: tuple[str, ...] = ("PNG",)) -> Image:
    """Return the pixels (H, W, 3) uint8 RGB with the stored values: an 8-bit image is ready for display.

    Raises
    ------
    DatasetError
        PIXELS-UNDECODABLE names the file that has another format, is truncated or has more than 8 bits.
    """
    decoded = _decode(path, formats)
    if decoded.mode in _GREY:
        return display(np.asarray(decoded.convert("L"), dtype=np.float32), IDENTITY)
    return np.asarray(decoded.convert("RGB"), dtype=np.uint8)


def read_mask(path: Path, formats: tuple[str, ...] = ("PNG",)) -> Mask:
    """Return the mask (H, W): 255 is the target where all values are 0 or 255, 1 where all are 0 or 1.

    Each file is judged for itself. The released evaluation thresholds at 200, so that masks of 0 and 1 are
    read as empty; a mask of grey levels, as JPEG makes them, is refused and never thresholded.

    Raises
    ------
    DatasetError
        PIXELS-UNDECODABLE for a file that cannot be read, DATASET-INVALID for any other pixel value.
    """
    pixels = np.asarray(_decode(path, formats).convert("L"), dtype=np.uint8)
    values = set(np.unique(pixels).tolist())
    if not (values <= {0, 255} or values <= {0, 1}):
        some = ", ".join(str(value) for value in sorted(values - {0})[:5])
        raise DatasetError(
            Code.DATASET_INVALID,
            f"{path}: a mask holds 0 and 255 (or 0 and 1), this one holds {some}; save it as a binary PNG",
        )
    return pixels > 0


def open_dataset(folder: Path) -> Dataset:
    """Return the data set of a folder, after checking everything but the images' pixels.

    An image that cannot be decoded is not an error here: it gets a row of its own in the report.

    Raises
    ------
    DatasetError
        DATASET-INVALID or PIXELS-UNDECODABLE, naming the file: no image, an image of another format, a mask
        that is missing, unreadable or of another size, a CSV file without its columns or its names.
    """
    images = images_in(folder / "images")
    prompts = read_column(folder / "prompts.csv", "prompt")
    patients = read_column(folder / "groups.csv", "patient")
    subtypes = read_column(folder / "subtypes.csv", "subtype")
    items = []
    for image in images:
        name = image.stem
        mask = folder / "masks" / f"{name}.png"
        if not mask.is_file():
            raise DatasetError(
                Code.DATASET_INVALID, f"{mask}: missing; {image.name} needs a mask of its name"
            )
        check_size(image, mask)
        items.append(
            Item(
                name=name,
                image=image,
                mask=mask,
                prompts=_rows(prompts, name, folder / "prompts.csv"),
                patient=(_rows(patients, name, folder / "groups.csv") or (name,))[0],
                subtype=(_rows(subtypes, name, folder / "subtypes.csv") or (None,))[0],
            )
        )
    return Dataset(folder, tuple(items), prompts is not None)


def assemble(folder: Path, items: Iterable[Item]) -> Dataset:
    """Return the data set of a layout, sorted by name.

    Raises
    ------
    DatasetError
        DATASET-INVALID: no image at all, or two of one name.
    """
    ordered = tuple(sorted(items, key=lambda item: item.name))
    if not ordered:
        raise DatasetError(Code.DATASET_INVALID, f"{folder}: no images of this layout; see docs/datasets.md")
    name, times = Counter(item.name for item in ordered).most_common(1)[0]
    if times > 1:
        files = ", ".join(str(item.image) for item in ordered if item.name == name)
        raise DatasetError(Code.DATASET_INVALID, f"the name {name} stands for {times} images: {files}")
    return Dataset(folder, ordered, has_prompts=False)


def images_in(folder: Path) -> list[Path]:
    """Return the PNG images of a folder by name. DatasetError (DATASET-INVALID): none, or another format."""
    files = sorted(path for path in folder.glob("*") if path.is_file() and not path.name.startswith("."))
    for path in files:
        if path.suffix.lower() in _OTHER_FORMATS:
            raise DatasetError(
                Code.DATASET_INVALID, f"{path}: only PNG images are read; convert it or move it away"
            )
    images = [path for path in files if path.suffix.lower() == ".png"]
    if not images:
        raise DatasetError(Code.DATASET_INVALID, f"{folder}: no images; a data set has images/NAME.png")
    seen: dict[str, Path] = {}
    for path in images:
        other = seen.setdefault(path.stem, path)
        if other is not path:
            raise DatasetError(
                Code.DATASET_INVALID,
                f"{other} and {path.name} share the name {path.stem}; rename one with its mask",
            )
    return images


def check_size(image: Path, mask: Path, formats: tuple[str, ...] = ("PNG",)) -> None:
    """Refuse a mask that is unreadable, not binary or of another size than its image. DatasetError."""
    height, width = read_mask(mask, formats).shape
    size = _header_size(image, formats)
    if size is not None and size != (width, height):
        raise DatasetError(
            Code.DATASET_INVALID,
            f"{mask}: is {width} x {height} pixels, its image {size[0]} x {size[1]}; make them equal",
        )


def _header_size(path: Path, formats: tuple[str, ...]) -> tuple[int, int] | None:
    """Return (width, height) as the file's header says, None when there is no such header to read."""
    try:
        with Pillow.open(path, formats=formats) as file:
            return file.size
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError):
        return None


def _decode(path: Path, formats: tuple[str, ...]) -> Pillow.Image:
    try:
        with Pillow.open(path, formats=formats) as file:
            file.load()
            decoded = file.copy()
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        raise DatasetError(
            Code.PIXELS_UNDECODABLE,
            f"{path}: not a readable {' or '.join(formats)} ({type(error).__name__}); replace the file",
        ) from error
    if decoded.mode not in _GREY + _COLOUR:
        raise DatasetError(
            Code.PIXELS_UNDECODABLE,
            f"{path}: pixels of type {decoded.mode} have more than 8 bits; window them and save 8 bits",
        )
    return decoded


def read_column(path: Path, column: str) -> Mapping[str, tuple[str, ...]] | None:
    """Return ``column`` by ``name`` in the file's order, or None when there is no such file. DatasetError."""
    if not path.is_file():
        return None
    found: dict[str, tuple[str, ...]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            if not {"name", column} <= set(reader.fieldnames or ()):
                raise DatasetError(
                    Code.DATASET_INVALID, f"{path}: the first line must name the columns name,{column}"
                )
            for row in reader:
                if row["name"] is None or row[column] is None:
                    raise DatasetError(Code.DATASET_INVALID, f"{path}:{reader.line_num}: too few columns")
                found[row["name"]] = (*found.get(row["name"], ()), row[column])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            Code.DATASET_INVALID, f"{path}: cannot be read as CSV in UTF-8 ({error})"
        ) from error
    return found


def _rows(column: Mapping[str, tuple[str, ...]] | None, name: str, path: Path) -> tuple[str, ...]:
    if column is None:
        return ()
    if name not in column:
        raise DatasetError(Code.DATASET_INVALID, f"{path}: no row for the image {name}; add one")
    return column[name]
