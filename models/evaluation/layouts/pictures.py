"""Data sets of single pictures with masks, read where they lie.

What holds for all of them: a mask holds 0 and 255 or 0 and 1, file by file, and has the size of its image;
anything else is DATASET-INVALID and names the file. Images and masks are paired by name, never by their order
in a folder. Without a patient in the names every image counts as a patient of its own.
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from models.errors import Code, DatasetError
from models.evaluation.dataset import Dataset, Item, assemble, check_size, read_column, read_image, read_mask
from models.evaluation.metrics import Mask

FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})

COVID_CLASSES = {"COVID-19": "covid", "Non-COVID": "lung-opacity", "Normal": "normal"}
"""Folder to subtype. Non-COVID mixes viral and bacterial pneumonia, so that only "opacity" is true of all."""

OFF_ELLIPSE = 2.0
"""Mean distance in pixels up to which the pixels of an outline count as one ellipse."""

TUMOURS = {"1": "meningioma", "2": "glioma", "3": "pituitary"}
"""``cjdata.label`` of the figshare brain set."""


def busi(folder: Path) -> Dataset:
    """Read BUSI: ``{benign,malignant,normal}/NAME.png`` beside ``NAME_mask.png``, ``NAME_mask_1.png``, ...

    All masks of an image are merged. Normal images have an empty mask: the target is absent. Patients are not
    told apart. Raises DatasetError.
    """
    items = []
    for subtype in ("benign", "malignant", "normal"):
        for path in pictures(folder / subtype):
            if re.search(r"_mask(_\d+)?$", path.stem):
                continue
            first = path.with_name(f"{path.stem}_mask{path.suffix}")
            others = sorted(path.parent.glob(f"{escaped(path.stem)}_mask_*{path.suffix}"))
            known = None if subtype == "normal" else subtype
            items.append(paired(path, (first, *others), subtype=known))
    return assemble(folder, items)


def udiat(folder: Path) -> Dataset:
    """Read UDIAT (Dataset B): ``original/NAME.png`` and ``GT/NAME.png``. Raises DatasetError."""
    return assemble(
        folder, (paired(path, (folder / "GT" / path.name,)) for path in pictures(folder / "original"))
    )


def figshare_brain(folder: Path) -> Dataset:
    """Read the PNG export of the figshare brain set: ``images/``, ``masks/`` and ``cases.csv``.

    cases.csv names the columns name, label and patient, with ``cjdata.label`` (1 meningioma, 2 glioma,
    3 pituitary) and ``cjdata.PID``. The set itself comes as MATLAB 7.3 files; docs/datasets.md has the
    export.
    Raises DatasetError.
    """
    table = folder / "cases.csv"
    labels, patients = read_column(table, "label"), read_column(table, "patient")
    if labels is None or patients is None:
        raise DatasetError(Code.DATASET_INVALID, f"{table}: missing; it has the columns name,label,patient")
    items = []
    for path in pictures(folder / "images"):
        if path.stem not in labels:
            raise DatasetError(Code.DATASET_INVALID, f"{table}: no row for the image {path.stem}; add one")
        label = labels[path.stem][0].strip()
        if label not in TUMOURS:
            raise DatasetError(
                Code.DATASET_INVALID, f"{table}: {path.stem} has label {label!r}, not 1, 2 or 3"
            )
        mask = folder / "masks" / path.name
        items.append(paired(path, (mask,), patient=patients[path.stem][0], subtype=TUMOURS[label]))
    return assemble(folder, items)


def covid_qu_ex(folder: Path) -> Dataset:
    """Read one split of COVID-QU-Ex: ``CLASS/images/NAME.png`` and ``CLASS/lung masks/NAME.png``.

    The target is the lungs, whatever the class. Raises DatasetError.
    """
    items = []
    for name, subtype in COVID_CLASSES.items():
        for path in pictures(folder / name / "images"):
            mask = folder / name / "lung masks" / path.name
            items.append(paired(path, (mask,), name=f"{name}/{path.stem}", subtype=subtype))
    return assemble(folder, items)


def chest_masks(folder: Path) -> Dataset:
    """Read SaLIP's chest set: ``CXR_png/NAME.png`` and ``masks/NAME.png`` or ``masks/NAME_mask.png``.

    Some images of the set have no mask file; they are left out, because nothing is known about them. Raises
    DatasetError.
    """
    items = []
    for path in pictures(folder / "CXR_png"):
        masks = [folder / "masks" / f"{path.stem}{end}.png" for end in ("_mask", "")]
        found = next((mask for mask in masks if mask.is_file()), None)
        if found is not None:
            items.append(paired(path, (found,)))
    return assemble(folder, items)


def hc18(folder: Path) -> Dataset:
    """Read HC18's training set: ``NUMBER_HC.png`` with ``NUMBER_HC_Annotation.png``, an ellipse's outline.

    The outline is filled. ``012_HC`` and ``012_2HC`` are two images of one pregnancy. Raises DatasetError.
    """
    items = []
    for path in pictures(folder):
        number = re.fullmatch(r"(\d+)_\d*HC", path.stem)
        if number is None:
            continue
        outline = path.with_name(f"{path.stem}_Annotation.png")
        require(outline, path)
        check_size(path, outline, FORMATS)
        items.append(
            Item(
                name=path.stem,
                image=path,
                mask=outline,
                prompts=(),
                patient=number[1],
                load_image=partial(read_image, path, FORMATS),
                load_mask=partial(filled, outline),
            )
        )
    return assemble(folder, items)


def pictures(folder: Path) -> Iterator[Path]:
    """Yield the image files of a folder by name; nothing where there is no such folder."""
    if folder.is_dir():
        yield from sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def escaped(name: str) -> str:
    """Return a name for :meth:`Path.glob`, taken literally."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def require(mask: Path, image: Path) -> None:
    """Refuse an image without its mask. DatasetError (DATASET-INVALID)."""
    if not mask.is_file():
        raise DatasetError(Code.DATASET_INVALID, f"{mask}: missing; {image.name} needs a mask of its name")


def paired(
    image: Path,
    masks: tuple[Path, ...],
    name: str | None = None,
    patient: str | None = None,
    subtype: str | None = None,
) -> Item:
    """Return one image with the union of its masks, checked. Raises DatasetError."""
    for mask in masks:
        require(mask, image)
        check_size(image, mask, FORMATS)
    known = name or image.stem
    return Item(
        name=known,
        image=image,
        mask=masks[0],
        prompts=(),
        patient=patient or known,
        subtype=subtype,
        load_image=partial(read_image, image, FORMATS),
        load_mask=partial(merged, masks),
    )


def merged(masks: Iterable[Path]) -> Mask:
    """Return the pixels that any of the masks holds (H, W). Raises DatasetError."""
    mask: Mask = np.logical_or.reduce([read_mask(path, FORMATS) for path in masks])
    return mask


def filled(outline: Path) -> Mask:
    """Return the inside of an outline with the outline itself (H, W).

    Where the image's border cuts the outline, the ellipse through its pixels is filled. DatasetError
    (DATASET-INVALID) where the pixels are no ellipse.
    """
    from scipy.ndimage import binary_fill_holes

    drawn = read_mask(outline, FORMATS)
    inside: Mask = binary_fill_holes(drawn)
    return inside if inside.sum() > drawn.sum() else _ellipse(drawn, outline)


def _ellipse(drawn: Mask, outline: Path) -> Mask:
    from skimage.measure import EllipseModel

    points = np.argwhere(drawn)[:, ::-1].astype(float)
    model = EllipseModel.from_estimate(points) if len(points) >= 5 else None
    if not model or float(np.abs(model.residuals(points)).mean()) > OFF_ELLIPSE:
        raise DatasetError(
            Code.DATASET_INVALID,
            f"{outline}: neither a closed outline nor part of an ellipse; nothing to fill",
        )
    x, y = model.center
    a, b = model.axis_lengths
    rows, columns = np.indices(drawn.shape)
    along = (columns - x) * np.cos(model.theta) + (rows - y) * np.sin(model.theta)
    across = (rows - y) * np.cos(model.theta) - (columns - x) * np.sin(model.theta)
    inside: Mask = ((along / a) ** 2 + (across / b) ** 2 <= 1.0) | drawn
    return inside
