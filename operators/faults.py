"""What is wrong with the geometry of a series: every fault with its code, its slices and what to do.

Positions are judged, not tags that describe them: GantryDetectorTilt and SpacingBetweenSlices are often
wrong, ImagePositionPatient and ImageOrientationPatient are what viewers use.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import Code
from operators import header as tags
from operators.slices import Slice

COSINE_TOLERANCE = 1e-3
"""Direction cosines written with three decimals still agree."""
SPACING_TOLERANCE = 0.1
"""Of the slice distance by which a gap may differ; a missing slice changes it by 1."""
ROUNDING_MM = 0.11
"""By which a gap may differ as well (at most a quarter of it): positions are often rounded to 0.1 mm."""
DUPLICATE_MM = 1e-2
"""Positions closer than this along the normal are the same position ..."""
DUPLICATE_SHARE = 0.05
"""... and so are those closer than this share of the usual distance."""
TILT_DEGREES = 1.0
"""A sheared stack below this shifts by less than 2 % of the slice distance from slice to slice."""
NAMED = 10
"""Slices that a message names; the rest is counted."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GeometryFault:
    """One thing that is wrong: its code, a sentence that names the slices, and what to do about it."""

    code: Code
    reason: str
    remedy: str


def find_faults(slices: Sequence[Slice]) -> tuple[GeometryFault, ...]:
    """Return every fault of a series.

    Slices without a usable position, localizers and slices of another orientation than most are named and
    left out when the positions of the others are judged.
    """
    faults: list[GeometryFault] = []
    judged = list(slices)
    for check in (_without_position, _localizers, _mixed_orientation):
        fault, strangers = check(judged)
        if fault is not None:
            faults.append(fault)
            judged = [plane for plane in judged if not any(plane is stranger for stranger in strangers)]
    others = (_several_multiframe, _mixed_frame_of_reference, _mixed_size, _partly_rescaled)
    faults += [fault for check in others for fault, _ in [check(judged)] if fault is not None]
    return (*faults, *_position_faults(judged))


def axes(plane: Slice) -> tuple[Floats, Floats, Floats]:
    """Return the directions along a row, down a column, and their cross product, as unit vectors."""
    cosines = _cosines(plane)
    row, column = cosines[:3], cosines[3:]
    return row, column, np.cross(row, column)


def pixel_spacing(plane: Slice) -> tuple[float, float]:
    """Return row and column spacing in mm; 1 mm where the header has none (recorded by the writers)."""
    return (plane.spacing[0], plane.spacing[1]) if plane.spacing is not None else (1.0, 1.0)


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


def _localizers(slices: Sequence[Slice]) -> _Odd:
    """CT localizers are projections through the body, not slices of it (PS3.3 C.8.16.1.3)."""
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
        lambda plane: tuple(np.round(_cosines(plane) / COSINE_TOLERANCE / 4).astype(int)),
        lambda one, other: bool(np.abs(_cosines(one) - _cosines(other)).max() <= COSINE_TOLERANCE),
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


def _position_faults(slices: Sequence[Slice]) -> Iterator[GeometryFault]:
    """Judge the positions of slices that share one orientation."""
    if len(slices) < 2:
        return
    normal = axes(slices[0])[2]
    along = _along(slices, normal)
    ordered = [slices[index] for index in np.argsort(along, kind="stable")]
    gaps = np.diff(np.sort(along))
    apart = gaps[gaps >= DUPLICATE_MM]
    same = max(DUPLICATE_MM, DUPLICATE_SHARE * float(np.median(apart))) if apart.size else DUPLICATE_MM
    twins = [index for index, gap in enumerate(gaps) if gap < same]
    if twins:
        pairs = [_between(ordered[index], ordered[index + 1], normal) for index in twins]
        yield GeometryFault(
            Code.GEOMETRY_DUPLICATE_POSITION,
            f"Duplicate positions: {len(twins)} along the slice normal: {_listed(pairs)}.",
            "Send each phase as a series of its own, and each slice once.",
        )
    unique = [plane for index, plane in enumerate(ordered) if index - 1 not in twins]
    uneven = _spacing_fault(unique, normal)
    if uneven is not None:
        yield uneven
    yield from _course_faults(unique, normal)


def _spacing_fault(slices: Sequence[Slice], normal: Floats) -> GeometryFault | None:
    """Return the fault of slices (no two at one position, ascending) whose distances differ."""
    along = _along(slices, normal)
    gaps = np.diff(along)
    if len(gaps) < 2:
        return None
    usual = float(np.median(gaps))
    drift = np.abs(along - np.linspace(along[0], along[-1], len(along))).max()
    if np.all(np.abs(gaps - usual) <= _tolerance(usual)) and drift <= usual / 4:
        return None
    step = _true_step(slices, gaps)
    missing = np.rint(gaps / step).astype(int) - 1 if step is not None else np.zeros(len(gaps), dtype=int)
    if step is None or not missing.any():
        widest, narrowest = int(np.argmax(gaps)), int(np.argmin(gaps))
        return GeometryFault(
            Code.GEOMETRY_UNEVEN_SPACING,
            f"The slices are unevenly spaced: {gaps.max():.2f} mm between "
            f"{_between(slices[widest], slices[widest + 1], normal)}, {gaps.min():.2f} mm between "
            f"{_between(slices[narrowest], slices[narrowest + 1], normal)}.",
            "Reconstruct the series with one slice distance.",
        )
    holes = [
        f"{count} between {_between(slices[index], slices[index + 1], normal)}"
        for index, count in enumerate(missing)
        if count > 0
    ]
    return GeometryFault(
        Code.GEOMETRY_MISSING_SLICE,
        f"Missing slices: {int(missing.sum())} at a slice distance of {step:.2f} mm along the slice normal: "
        f"{_listed(holes)}.",
        "Send the missing slices.",
    )


def _true_step(slices: Sequence[Slice], gaps: Floats) -> float | None:
    """Return the slice distance of which every gap is a whole multiple, or None when there is none.

    Candidates are the smallest gap, and the gap per InstanceNumber for a series with so many holes that no
    two neighbours are left.
    """
    numbers = [tags.number(plane.instance.header, "InstanceNumber") for plane in slices]
    candidates = [float(gaps.min())]
    per_number = [
        gap / abs(after - before)
        for gap, before, after in zip(gaps, numbers[:-1], numbers[1:], strict=True)
        if before is not None and after is not None and before != after
    ]
    if len(per_number) == len(gaps):
        candidates.append(float(np.median(per_number)))
    for step in candidates:
        if np.all(np.abs(gaps - np.rint(gaps / step) * step) <= _tolerance(step)):
            return step
    return None


def _course_faults(slices: Sequence[Slice], normal: Floats) -> Iterator[GeometryFault]:
    """Compare the line on which the positions of ascending slices lie with the slice normal."""
    if len(slices) < 2:
        return
    positions = np.array([plane.position for plane in slices], dtype=np.float64)
    along = positions @ normal
    course = (positions[-1] - positions[0]) / (along[-1] - along[0])
    tilt = float(np.degrees(np.arccos(np.clip(1 / np.linalg.norm(course), -1, 1))))
    if tilt > TILT_DEGREES:
        yield GeometryFault(
            Code.GEOMETRY_TILT,
            f"The stack is sheared by {tilt:.1f} degrees (gantry tilt): from {_name(slices[0])} to "
            f"{_name(slices[-1])} the positions do not follow the slice normal.",
            "Resample the series to straight slices.",
        )
    beside = np.linalg.norm(positions - positions[0] - np.outer(along - along[0], course), axis=1)
    allowed = max(min(pixel_spacing(slices[0])) / 2, ROUNDING_MM)
    if beside.max() > allowed:
        odd = [
            f"{_name(plane)} by {mm:.2f} mm" for plane, mm in zip(slices, beside, strict=True) if mm > allowed
        ]
        yield GeometryFault(
            Code.GEOMETRY_UNEVEN_SPACING,
            f"The slices do not lie in one line: {_listed(odd)} beside the line from the first to the last.",
            "Reconstruct the series with one field of view.",
        )


def _strangers(
    code: Code,
    slices: Sequence[Slice],
    key: Callable[[Slice], object],
    agree: Callable[[Slice, Slice], bool],
    reason: str,
    remedy: str,
) -> _Odd:
    """Compare every slice with one of the majority."""
    if not slices:
        return None, ()
    keys = [key(plane) for plane in slices]
    typical = slices[keys.index(max(keys, key=keys.count))]
    return _fault(code, [plane for plane in slices if not agree(plane, typical)], reason, remedy)


def _fault(code: Code, slices: Sequence[Slice], reason: str, remedy: str) -> _Odd:
    """Return the fault of ``slices``, whose names go into ``reason``; none when there are no slices."""
    if not slices:
        return None, ()
    return GeometryFault(code, reason.format(_listed([_name(plane) for plane in slices])), remedy), slices


def _cosines(plane: Slice) -> Floats:
    return np.asarray(plane.orientation, dtype=np.float64)


def _orthonormal(plane: Slice) -> bool:
    if plane.orientation is None:
        return False
    row, column, _ = axes(plane)
    both = np.stack([row, column])
    return bool(np.allclose(both @ both.T, np.eye(2), atol=1e-2))


def _along(slices: Sequence[Slice], normal: Floats) -> Floats:
    along: Floats = np.array([plane.position for plane in slices], dtype=np.float64) @ normal
    return along


def _tolerance(step: float) -> float:
    return max(SPACING_TOLERANCE * step, min(ROUNDING_MM, step / 4))


def _name(plane: Slice) -> str:
    number = tags.text(plane.instance.header, "InstanceNumber")
    return f"{plane.name} (InstanceNumber {number})" if number else plane.name


def _between(one: Slice, other: Slice, normal: Floats) -> str:
    """Name two slices, and tell where along the slice normal they lie."""
    numbers = [tags.text(plane.instance.header, "InstanceNumber") or "none" for plane in (one, other)]
    places = [f"{place:.2f}" for place in _along([one, other], normal)]
    where = f"InstanceNumber {' and '.join(numbers)}, at {' and '.join(places)} mm"
    return f"{one.name} and {other.name} ({where})"


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    shown = ", ".join(every[:NAMED])
    return shown if len(every) <= NAMED else f"{shown} and {len(every) - NAMED} more"
