"""What is wrong with the geometry of a series: every fault with its code, its slices and what to do."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from pydicom.dataset import Dataset

from models.errors import Code
from operators import header as tags
from operators.geometry_fault import GeometryFault, listed, named
from operators.positions import position_faults
from operators.slices import Slice, axes, cosines, pixel_spacing

COSINE_TOLERANCE = 1e-3
"""Direction cosines written with three decimals still agree."""


def find_faults(slices: Sequence[Slice]) -> tuple[GeometryFault, ...]:
    """Return every fault of a series.

    Slices without a usable position, parts of concatenations, localizers and slices of another orientation
    than most are named and left out when the positions of the others are judged.
    """
    faults: list[GeometryFault] = []
    judged = list(slices)
    for check in (_without_position, _concatenated, _localizers, _mixed_orientation):
        fault, strangers = check(judged)
        if fault is not None:
            faults.append(fault)
            odd = set(map(id, strangers))
            judged = [plane for plane in judged if id(plane) not in odd]
    others = (_several_multiframe, _mixed_frame_of_reference, _mixed_size, _partly_rescaled)
    faults += [fault for check in others for fault, _ in [check(judged)] if fault is not None]
    return (*faults, *position_faults(judged))


_Odd = tuple[GeometryFault | None, Sequence[Slice]]
"""A fault, if there is one, and the slices that have it."""


def _without_position(slices: Sequence[Slice]) -> _Odd:
    lost = [plane for plane in slices if plane.position is None or not _orthonormal(plane)]
    return _fault(
        Code.GEOMETRY_NO_POSITION,
        lost,
        "ImagePositionPatient or ImageOrientationPatient is missing or unusable in {}.",
        "Send these images with their position, or without the others if they are pictures.",
    )


def _concatenated(slices: Sequence[Slice]) -> _Odd:
    """Several files that are one multi-frame image (PS3.3 C.7.6.16.2.2.4): each is a part of the volume.

    A result refers to the frames of one file, and of a part nobody may measure a volume.
    """
    parts = [plane for plane in slices if _is_part(plane.instance.header)]
    files = {plane.instance.sop_instance_uid: plane for plane in reversed(parts)}
    fault, _ = _fault(
        Code.GEOMETRY_CONCATENATION,
        list(reversed(files.values())),
        "The frames of one image were divided into several files (a concatenation): {}.",
        "Send the image undivided, or one file per slice.",
    )
    return fault, parts


def _is_part(header: Dataset) -> bool:
    return (
        bool(tags.text(header, "ConcatenationUID")) and tags.number(header, "InConcatenationTotalNumber") != 1
    )


def _localizers(slices: Sequence[Slice]) -> _Odd:
    """CT localizers are projections through the body, not slices of it (PS3.3 C.8.2.1.1.1)."""
    found = [
        plane for plane in slices if plane.instance.modality == "CT" and "LOCALIZER" in _image_type(plane)
    ]
    return _fault(
        Code.GEOMETRY_LOCALIZER,
        found,
        "ImageType says LOCALIZER, a projection and no slice, in {}.",
        "Send them apart from the slices; localizers are not segmented.",
    )


def _image_type(plane: Slice) -> str:
    if plane.groups:
        return tags.text(plane.group("CTImageFrameTypeSequence"), "FrameType")
    return tags.text(plane.instance.header, "ImageType")


def _mixed_orientation(slices: Sequence[Slice]) -> _Odd:
    return _strangers(
        Code.GEOMETRY_MIXED_ORIENTATION,
        slices,
        lambda plane: tuple(np.round(cosines(plane) / COSINE_TOLERANCE / 4).astype(int)),
        lambda one, other: bool(np.abs(cosines(one) - cosines(other)).max() <= COSINE_TOLERANCE),
        "ImageOrientationPatient of {} differs from the rest (a localizer inside the series?).",
        "Send each orientation as a series of its own.",
    )


def _several_multiframe(slices: Sequence[Slice]) -> _Odd:
    files = {plane.instance.sop_instance_uid: plane for plane in reversed(slices)}
    mixed = len(files) > 1 and any(plane.instance.frames > 1 for plane in files.values())
    return _fault(
        Code.GEOMETRY_MIXED_MULTIFRAME,
        [plane for plane in files.values() if plane.instance.frames > 1] if mixed else [],
        "Beside other images the series holds multi-frame objects that are no volumes by themselves: {}.",
        "Send each multi-frame object as a series of its own.",
    )


def _mixed_frame_of_reference(slices: Sequence[Slice]) -> _Odd:
    def uid(plane: Slice) -> str:
        return tags.text(plane.instance.header, "FrameOfReferenceUID")

    return _strangers(
        Code.GEOMETRY_MIXED_FRAME_OF_REFERENCE,
        slices,
        uid,
        lambda one, other: uid(one) == uid(other),
        "FrameOfReferenceUID of {} differs from the rest: their positions cannot be compared.",
        "Send each frame of reference as a series of its own.",
    )


def _mixed_size(slices: Sequence[Slice]) -> _Odd:
    def size(plane: Slice) -> tuple[float, ...]:
        return (plane.instance.rows, plane.instance.columns, *pixel_spacing(plane))

    return _strangers(
        Code.GEOMETRY_MIXED_SIZE,
        slices,
        size,
        lambda one, other: bool(np.allclose(size(one), size(other), rtol=1e-3, atol=0)),
        "Rows, Columns or PixelSpacing of {} differ from the rest.",
        "Send each matrix as a series of its own.",
    )


def _partly_rescaled(slices: Sequence[Slice]) -> _Odd:
    """Slices may differ in their rescale (PET does), but what lacks any is off by an unknown amount."""
    bare = [
        plane
        for plane in slices
        if tags.number(plane.values, "RescaleSlope") is None
        or tags.number(plane.values, "RescaleIntercept") is None
    ]
    return _fault(
        Code.TAG_MISSING,
        bare if len(bare) < len(slices) else [],
        "RescaleSlope or RescaleIntercept is missing in {}, while the rest has both.",
        "Send the complete headers.",
    )


def _strangers(
    code: Code,
    slices: Sequence[Slice],
    key: Callable[[Slice], Hashable],
    agree: Callable[[Slice, Slice], bool],
    reason: str,
    remedy: str,
) -> _Odd:
    """Compare every slice with one of the majority."""
    if not slices:
        return None, ()
    keys = [key(plane) for plane in slices]
    typical = slices[keys.index(Counter(keys).most_common(1)[0][0])]
    return _fault(code, [plane for plane in slices if not agree(plane, typical)], reason, remedy)


def _fault(code: Code, slices: Sequence[Slice], reason: str, remedy: str) -> _Odd:
    """Return the fault of ``slices``, whose names go into ``reason``; none when there are no slices."""
    if not slices:
        return None, ()
    return GeometryFault(code, reason.format(listed(slices, named)), remedy), slices


def _orthonormal(plane: Slice) -> bool:
    if plane.orientation is None:
        return False
    row, column, _ = axes(plane)
    both = np.stack([row, column])
    return bool(np.allclose(both @ both.T, np.eye(2), atol=1e-2))
