"""The planes of a series: single-frame instances and the frames of multi-frame instances, treated alike."""

from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from operators import header as tags
from operators.instance import Instance
from operators.sop_classes import ENHANCED

VOLUMETRIC = frozenset({"CT", "MR", "PT"})
"""Modalities whose images are slices of a body; every other one makes pictures unless it has positions."""

Vector3 = tuple[float, float, float]


@dataclass(frozen=True)
class Slice:
    """One image plane and where it lies, in LPS millimetres.

    ``orientation`` holds the direction cosines of a row and of a column (ImageOrientationPatient),
    ``spacing`` the distance of rows and of columns (PixelSpacing). What the header does not say is None.
    ``values`` is the item with the pixel value transformation; ``frame`` counts from 0.
    """

    instance: Instance
    frame: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    thickness: float | None
    values: Dataset = field(repr=False)

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


def slices_of(instance: Instance) -> tuple[Slice, ...]:
    """Return the planes of one instance in frame order."""
    if instance.sop_class_uid in ENHANCED:
        return tuple(_enhanced(instance, frame) for frame in range(instance.frames))
    header = instance.header
    plane = (
        tags.numbers(header, "ImagePositionPatient", 3),
        tags.numbers(header, "ImageOrientationPatient", 6),
        positive_pair(header, "PixelSpacing"),
        tags.number(header, "SliceThickness"),
    )
    return tuple(Slice(instance, frame, *plane, header) for frame in range(instance.frames))


def _enhanced(instance: Instance, frame: int) -> Slice:
    """Read the functional groups of one frame (PS3.3 C.7.6.16), its own before the shared ones."""
    shared = tags.items(instance.header, "SharedFunctionalGroupsSequence")
    own = tags.items(instance.header, "PerFrameFunctionalGroupsSequence")
    groups = [*own[frame : frame + 1], *shared[:1]]

    def group(keyword: str) -> Dataset:
        found = [item for items in groups for item in tags.items(items, keyword)[:1]]
        return found[0] if found else Dataset()

    measures = group("PixelMeasuresSequence")
    return Slice(
        instance,
        frame,
        tags.numbers(group("PlanePositionSequence"), "ImagePositionPatient", 3),
        tags.numbers(group("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        positive_pair(measures, "PixelSpacing"),
        tags.number(measures, "SliceThickness"),
        group("PixelValueTransformationSequence"),
    )


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
