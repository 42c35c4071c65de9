"""Thorax CT of two hospitals: lungs masked by rule, each hospital held out from one head of the cross-fit.

The shipped head (without fold 5) has seen both.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.align.concepts import LESIONS
from models.align.sample import Mask, Sample
from models.align.volumes import WINDOWS, axial, ct_windows, dicom_slice
from models.evaluation.dataset import Dataset, Item
from models.intensity import display

ORIGIN = "chest_ct"
EVERY = 8
"""Every how many-th slice of the volume is taken: neighbours are alike."""

VOLUME_HOSPITAL, SLICES_HOSPITAL = 1, 2
"""The fold whose head sees nothing of the thorax volume, and nothing of the single slices (NY-SBU)."""


def lungs_by_threshold(hounsfield: npt.NDArray[np.float32], cropped: bool) -> Mask:
    """Lungs of an axial thorax CT slice (H, W) by rule: air-like and enclosed by the body; no hand drew this.

    A slice ``cropped`` inside the chest has no air outside the body: the body is then the whole slice. Below
    -950 HU lies gas of stomach and bowel, not lung.
    """
    labelled, count = ndimage.label(ndimage.binary_opening(hounsfield > -300, iterations=2))
    sizes = ndimage.sum_labels(labelled > 0, labelled, range(1, count + 1))
    body = ndimage.binary_fill_holes(labelled == 1 + int(np.argmax(sizes))) if count else labelled > 0
    if cropped:
        body = np.ones_like(body)
    air = ndimage.binary_opening(body & (hounsfield < -500) & (hounsfield > -950))
    labelled, count = ndimage.label(air)
    sizes = ndimage.sum_labels(air, labelled, range(1, count + 1))
    kept = np.isin(labelled, [i + 1 for i, size in enumerate(sizes) if size > 0.01 * body.sum()])
    return np.asarray(ndimage.binary_fill_holes(ndimage.binary_closing(kept, iterations=2)))


def chest_ct_slices(data: Path, every: int) -> Iterator[Sample]:
    """Yield thorax CT slices whose lungs are masked by rule; every other organ is unknown on them."""
    folder = data / "dicom"
    cropped = axial(folder / "ct_mr_totalsegmentator" / "pulmonary" / "ct_cropped.nii.gz")
    slices = [
        (VOLUME_HOSPITAL, f"pulmonary_{index:03}", cropped[index]) for index in range(0, len(cropped), every)
    ]
    slices += [
        (SLICES_HOSPITAL, f"{path.parts[-3]}_{path.stem}", dicom_slice(path))
        for path in sorted((folder / "ct_single_slices").glob("*/axial/*.dcm"))
    ]
    for hospital, name, hounsfield in slices:
        mask = lungs_by_threshold(hounsfield, cropped=hospital == VOLUME_HOSPITAL)
        regions = {"lungs": mask} if mask.mean() > 0.05 else {}
        for label, window in ct_windows(name):
            image = display(hounsfield, window)
            absent = frozenset(LESIONS) | {"brain", "skull"}
            yield Sample(ORIGIN, label, image, hospital, regions, absent=absent, mirrors=False)


def set_of(window: str) -> str:
    """Return the name under which the slices in a window are judged."""
    return f"{ORIGIN}, {window} window"


def bound_of(window: str) -> str:
    """Return the same of what the segmenter makes of boxes from the truth: no method, a bound."""
    return f"{set_of(window)}, SAM with truth boxes (bound)"


SETS = tuple(name(window) for window in WINDOWS for name in (set_of, bound_of))


def held_out_ct(data: Path, fold: int) -> dict[str, Dataset]:
    """Return by window the slices with lungs of the hospital that the head without ``fold`` never saw.

    Patients are the names' first part; a fold without a hospital has no images.
    """
    samples = chest_ct_slices(data, EVERY) if fold in (VOLUME_HOSPITAL, SLICES_HOSPITAL) else ()
    items = [_item(data, sample) for sample in samples if sample.fold == fold and sample.regions]
    return {
        window: Dataset(
            data, tuple(item for item in items if item.name.endswith(f"_{window}")), has_prompts=False
        )
        for window in WINDOWS
    }


def _item(data: Path, sample: Sample) -> Item:
    lungs = sample.regions["lungs"]
    return Item(
        name=sample.name,
        image=data,
        mask=data,
        prompts=(),
        patient=sample.name.partition("_")[0],
        load_image=lambda: sample.image,
        load_mask=lambda: lungs,
    )
