"""The planes of a series: single-frame instances and the frames of multi-frame instances, treated alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from operators import header as tags
from operators.instance import Instance
from operators.sop_classes import ENHANCED

Floats = npt.NDArray[np.float64]

VOLUMETRIC = frozenset({"CT", "MR", "PT"})
"""Modalities whose images are slices of a body; every other one makes pictures unless it has positions."""


@dataclass(frozen=True)
class Slice:
    """One image plane and where it lies, in LPS millimetres.

    ``orientation`` holds the direction cosines of a row and of a column (ImageOrientationPatient),
    ``spacing`` the distance of rows and of columns (PixelSpacing). What the header does not say is None.
    ``values`` is the item with the pixel value transformation; ``frame`` counts from 0. ``groups`` are the
    functional groups of a frame of an enhanced instance, its own before the shared ones; others have none.
    """

    instance: Instance
    frame: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    thickness: float | None
    values: Dataset = field(repr=False)
    groups: tuple[Dataset, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """File name, with the frame number (from 1) for a multi-frame instance."""
        return (
            self.instance.name
            if self.instance.frames == 1
            else f"{self.instance.name} frame {self.frame + 1}"
        )

    @property
    def reference(self) -> str:
        """SOP Instance UID, with the frame number for a multi-frame instance."""
        uid = self.instance.sop_instance_uid
        return uid if self.instance.frames == 1 else f"{uid}#{self.frame + 1}"

    def group(self, keyword: str) -> Dataset:
        """Return the item of a functional group (PS3.3 C.7.6.16), an empty one when there is none."""
        return _group(self.groups, keyword)


def slices_of(instance: Instance) -> tuple[Slice, ...]:
    """Return the planes of one instance in frame order."""
    header = instance.header
    shared = tuple(tags.items(header, "SharedFunctionalGroupsSequence")[:1])
    own = tags.items(header, "PerFrameFunctionalGroupsSequence")
    if shared or own or instance.sop_class_uid in ENHANCED:
        return tuple(
            _enhanced(instance, frame, (*own[frame : frame + 1], *shared)) for frame in range(instance.frames)
        )
    plane = (
        tags.numbers(header, "ImagePositionPatient", 3),
        tags.numbers(header, "ImageOrientationPatient", 6),
        positive_pair(header, "PixelSpacing"),
        tags.number(header, "SliceThickness"),
    )
    return tuple(Slice(instance, frame, *plane, header) for frame in range(instance.frames))


def _enhanced(instance: Instance, frame: int, groups: tuple[Dataset, ...]) -> Slice:
    measures = _group(groups, "PixelMeasuresSequence")
    return Slice(
        instance,
        frame,
        tags.numbers(_group(groups, "PlanePositionSequence"), "ImagePositionPatient", 3),
        tags.numbers(_group(groups, "PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        positive_pair(measures, "PixelSpacing"),
        tags.number(measures, "SliceThickness"),
        _group(groups, "PixelValueTransformationSequence"),
        groups,
    )


def _group(groups: Sequence[Dataset], keyword: str) -> Dataset:
    found = (item for group in groups for item in tags.items(group, keyword)[:1])
    return next(found, Dataset())


def cosines(plane: Slice) -> Floats:
    """Return ImageOrientationPatient as (6,): direction cosines of a row, then of a column."""
    return np.asarray(plane.orientation, dtype=np.float64)


def axes(plane: Slice) -> tuple[Floats, Floats, Floats]:
    """Return the directions along a row, down a column, and their cross product, as unit vectors."""
    both = cosines(plane)
    row, column = both[:3], both[3:]
    return row, column, np.cross(row, column)


def pixel_spacing(plane: Slice) -> tuple[float, float]:
    """Return row and column spacing in mm; 1 mm where the header has none (recorded by the writers)."""
    return (plane.spacing[0], plane.spacing[1]) if plane.spacing is not None else (1.0, 1.0)


def positive_pair(header: Dataset, keyword: str) -> tuple[float, ...] | None:
    """Return two numbers above zero (row and column spacing in mm), or None."""
    pair = tags.numbers(header, keyword, 2)
    return pair if pair is not None and min(pair) > 0 else None


def is_volumetric(instance: Instance) -> bool:
    """Tell whether an instance is a slice (or a stack of slices) of a body rather than a picture."""
    if instance.modality in VOLUMETRIC or instance.sop_class_uid in ENHANCED:
        return True
    keywords = ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient")
    return instance.frames == 1 and all(tags.text(instance.header, keyword) for keyword in keywords)


def is_colour(instance: Instance) -> bool:
    """Tell whether the images of an instance are in colour (RGB, YBR or palette)."""
    palette = tags.text(instance.header, "PhotometricInterpretation") == "PALETTE COLOR"
    return palette or (tags.number(instance.header, "SamplesPerPixel") or 1) >= 3
