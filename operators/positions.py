"""Whether the positions of slices form one regular grid.

Positions are judged, not tags that describe them: GantryDetectorTilt and SpacingBetweenSlices are often
wrong, ImagePositionPatient and ImageOrientationPatient are what viewers use.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from models.errors import Code
from operators import header as tags
from operators.geometry_fault import GeometryFault, instance_number, listed, named
from operators.slices import Floats, Slice, axes, pixel_spacing

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


def position_faults(slices: Sequence[Slice]) -> Iterator[GeometryFault]:
    """Return what is wrong with the positions of slices that share one orientation."""
    if len(slices) < 2:
        return
    normal = axes(slices[0])[2]
    along = _along(slices, normal)
    ordered = [slices[index] for index in np.argsort(along, kind="stable")]
    gaps = np.diff(np.sort(along))
    apart = gaps[gaps >= DUPLICATE_MM]
    same = max(DUPLICATE_MM, DUPLICATE_SHARE * float(np.median(apart))) if apart.size else DUPLICATE_MM
    twins = _where(gaps < same)
    if twins:
        pairs = listed(twins, lambda index: _between(ordered[index], ordered[index + 1], normal))
        yield GeometryFault(
            Code.GEOMETRY_DUPLICATE_POSITION,
            f"Duplicate positions: {len(twins)} along the slice normal: {pairs}.",
            "Send each phase as a series of its own, and each slice once.",
        )
    unique = [ordered[0], *(ordered[index + 1] for index in _where(gaps >= same))]
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
    holes = listed(
        _where(missing > 0),
        lambda index: f"{missing[index]} between {_between(slices[index], slices[index + 1], normal)}",
    )
    return GeometryFault(
        Code.GEOMETRY_MISSING_SLICE,
        f"Missing slices: {missing.sum()} at a slice distance of {step:.2f} mm along the normal: {holes}.",
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
            f"The stack is sheared by {tilt:.1f} degrees (gantry tilt): from {named(slices[0])} to "
            f"{named(slices[-1])} the positions do not follow the slice normal.",
            "Resample the series to straight slices.",
        )
    beside = np.linalg.norm(positions - positions[0] - np.outer(along - along[0], course), axis=1)
    allowed = max(min(pixel_spacing(slices[0])) / 2, ROUNDING_MM)
    if beside.max() > allowed:
        odd = listed(
            _where(beside > allowed), lambda index: f"{named(slices[index])} by {beside[index]:.2f} mm"
        )
        yield GeometryFault(
            Code.GEOMETRY_UNEVEN_SPACING,
            f"The slices do not lie in one line: {odd} beside the line from the first to the last.",
            "Reconstruct the series with one field of view.",
        )


def _between(one: Slice, other: Slice, normal: Floats) -> str:
    """Name two slices, and tell where along the slice normal they lie."""
    places = _along([one, other], normal)
    numbers = f"InstanceNumber {instance_number(one)} and {instance_number(other)}"
    return f"{one.name} and {other.name} ({numbers}, at {places[0]:.2f} and {places[1]:.2f} mm)"


def _along(slices: Sequence[Slice], normal: Floats) -> Floats:
    along: Floats = np.array([plane.position for plane in slices], dtype=np.float64) @ normal
    return along


def _where(marked: npt.NDArray[np.bool_]) -> list[int]:
    return [int(index) for index in np.flatnonzero(marked)]


def _tolerance(step: float) -> float:
    return max(SPACING_TOLERANCE * step, min(ROUNDING_MM, step / 4))
