"""The geometry gate: a series becomes a volume only when its slices form one regular grid.

Positions are judged, not tags that describe them: GantryDetectorTilt and SpacingBetweenSlices are often
wrong, ImagePositionPatient and ImageOrientationPatient are what viewers use. All faults of a series are
collected, so that one message names everything there is to correct.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import Code, GeometryError
from operators import header as tags
from operators.slices import Slice

Affine = npt.NDArray[np.float64]
"""(4, 4) matrix from array index (slice, row, column, 1) to LPS millimetres."""

COSINE_TOLERANCE = 1e-3
"""Direction cosines written with three decimals still agree."""
SPACING_TOLERANCE = 0.1
"""Of the slice distance by which a gap may differ; a missing slice changes it by 1."""
ROUNDING_MM = 0.11
"""By which a gap may differ as well (at most a quarter of it): positions are often rounded to 0.1 mm."""
DUPLICATE_MM = 1e-2
"""Positions closer than this along the normal are the same position."""
TILT_DEGREES = 1.0
"""A sheared stack below this shifts by less than 2 % of the slice distance from slice to slice."""


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular grid of slices in ascending order along the slice normal (row direction x column direction).

    ``order`` maps the grid's slice index to the index in the sequence that was judged; ``shape`` is (slices,
    rows, columns); ``spacing`` the distances between slices, rows and columns in millimetres.
    """

    order: tuple[int, ...]
    affine: Affine
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in millilitres."""
        return float(np.prod(self.spacing)) / 1000.0


@dataclass(frozen=True)
class GeometryFault:
    """One thing that is wrong with the slices of a series."""

    code: Code
    reason: str


def build_grid(slices: Sequence[Slice]) -> Grid:
    """Return the grid that ``slices`` form, whatever their order.

    Raises
    ------
    GeometryError
        With the code of the first fault and a message that names every fault, the files and what to do.
    """
    faults = find_faults(slices)
    if faults:
        advice = " Send the complete series, or split it at the source, and try again."
        raise GeometryError(faults[0].code, " ".join(fault.reason for fault in faults) + advice)
    row, column, normal = _axes(slices[0])
    positions = np.array([plane.position for plane in slices], dtype=np.float64)
    along = positions @ normal
    order = tuple(int(index) for index in np.argsort(along, kind="stable"))
    first = positions[order[0]]
    row_mm, column_mm = _spacing(slices[0])
    if len(slices) > 1:
        step = (positions[order[-1]] - first) / (len(slices) - 1)
    else:
        thickness = slices[0].thickness
        step = normal * (thickness if thickness is not None and thickness > 0 else 1.0)
    affine = np.eye(4)
    # A row index moves down a column, a column index along a row.
    affine[:3, :4] = np.stack([step, column * row_mm, row * column_mm, first], axis=1)
    instance = slices[0].instance
    return Grid(
        order,
        affine,
        (len(slices), instance.rows, instance.columns),
        (float(np.linalg.norm(step)), row_mm, column_mm),
    )


def find_faults(slices: Sequence[Slice]) -> tuple[GeometryFault, ...]:
    """Return every fault of a series; later checks run only where the earlier ones leave them a meaning."""
    for check in _BASIC_CHECKS:
        fault = check(slices)
        if fault is not None:
            return (fault,)
    return tuple(_position_faults(slices))


def _missing_position(slices: Sequence[Slice]) -> GeometryFault | None:
    lost = [plane.name for plane in slices if plane.position is None or not _orthonormal(plane)]
    if not lost:
        return None
    return GeometryFault(
        Code.GEOMETRY_NO_POSITION,
        f"ImagePositionPatient or ImageOrientationPatient is missing or unusable in {_names(lost)}.",
    )


def _mixed_orientation(slices: Sequence[Slice]) -> GeometryFault | None:
    return _mixed(
        slices,
        lambda plane: tuple(np.round(np.asarray(plane.orientation) / COSINE_TOLERANCE / 4).astype(int)),
        Code.GEOMETRY_MIXED_ORIENTATION,
        "The slices do not share one orientation (a localizer inside the series?)",
        _same_orientation,
    )


def _mixed_size(slices: Sequence[Slice]) -> GeometryFault | None:
    return _mixed(
        slices,
        lambda plane: (plane.instance.rows, plane.instance.columns, _spacing(plane)),
        Code.GEOMETRY_MIXED_SIZE,
        "The slices do not share one matrix and PixelSpacing",
        lambda one, other: (
            (one.instance.rows, one.instance.columns) == (other.instance.rows, other.instance.columns)
            and bool(np.allclose(_spacing(one), _spacing(other), rtol=1e-3))
        ),
    )


def _mixed_frame_of_reference(slices: Sequence[Slice]) -> GeometryFault | None:
    return _mixed(
        slices,
        lambda plane: tags.text(plane.instance.header, "FrameOfReferenceUID"),
        Code.GEOMETRY_MIXED_FRAME_OF_REFERENCE,
        "The slices do not share one FrameOfReferenceUID",
        lambda one, other: (
            tags.text(one.instance.header, "FrameOfReferenceUID")
            == tags.text(other.instance.header, "FrameOfReferenceUID")
        ),
    )


_BASIC_CHECKS = (_missing_position, _mixed_frame_of_reference, _mixed_orientation, _mixed_size)


def _mixed(
    slices: Sequence[Slice],
    key: Callable[[Slice], object],
    code: Code,
    what: str,
    agree: Callable[[Slice, Slice], bool],
) -> GeometryFault | None:
    """Compare every slice with one of the majority and name those that differ."""
    keys = [key(plane) for plane in slices]
    typical = slices[keys.index(max(keys, key=keys.count))]
    strangers = [plane.name for plane in slices if not agree(plane, typical)]
    return GeometryFault(code, f"{what}: {_names(strangers)} differ from the rest.") if strangers else None


def _same_orientation(one: Slice, other: Slice) -> bool:
    difference = np.asarray(one.orientation) - np.asarray(other.orientation)
    return bool(np.abs(difference).max() <= COSINE_TOLERANCE)


def _position_faults(slices: Sequence[Slice]) -> Iterable[GeometryFault]:
    """Judge the positions of slices that share orientation, size and frame of reference."""
    normal = _axes(slices[0])[2]
    along = np.array([plane.position for plane in slices], dtype=np.float64) @ normal
    order = np.argsort(along, kind="stable")
    ordered = [slices[index] for index in order]
    gaps = np.diff(along[order])
    twins = [index for index, gap in enumerate(gaps) if gap < DUPLICATE_MM]
    if twins:
        pairs = [f"{ordered[index].name} and {ordered[index + 1].name}" for index in twins]
        places = ", ".join(f"{along[order][index]:.2f} mm" for index in twins[:3])
        yield GeometryFault(
            Code.GEOMETRY_DUPLICATE_POSITION,
            f"Duplicate positions: {len(twins)} (at {places} along the slice normal, {_names(pairs)}).",
        )
    kept = [0, *(index + 1 for index, gap in enumerate(gaps) if gap >= DUPLICATE_MM)]
    unique = [ordered[index] for index in kept]
    yield from _gap_faults(unique, np.diff(along[order][kept]))
    tilt = _tilt_degrees(unique, normal)
    if tilt > TILT_DEGREES:
        yield GeometryFault(
            Code.GEOMETRY_TILT,
            f"The stack is sheared by {tilt:.1f} degrees (gantry tilt): the positions do not follow the "
            "slice normal; resample the series to straight slices.",
        )


def _gap_faults(slices: Sequence[Slice], gaps: npt.NDArray[np.float64]) -> Iterable[GeometryFault]:
    if len(gaps) < 2 or np.all(np.abs(gaps - np.median(gaps)) <= _tolerance(float(np.median(gaps)))):
        return
    step = _true_step(slices, gaps)
    if step is None:
        yield GeometryFault(
            Code.GEOMETRY_UNEVEN_SPACING,
            f"The slices are unevenly spaced: distances from {gaps.min():.2f} to {gaps.max():.2f} mm, the "
            f"widest between {_widest(slices, gaps)}.",
        )
        return
    missing = np.rint(gaps / step).astype(int) - 1
    holes = [
        f"{count} between {slices[index].name} and {slices[index + 1].name}"
        for index, count in enumerate(missing)
        if count > 0
    ]
    yield GeometryFault(
        Code.GEOMETRY_MISSING_SLICE,
        f"Missing slices: {int(missing.sum())} at a slice distance of {step:.2f} mm ({_names(holes)}).",
    )


def _true_step(slices: Sequence[Slice], gaps: npt.NDArray[np.float64]) -> float | None:
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


def _tilt_degrees(slices: Sequence[Slice], normal: npt.NDArray[np.float64]) -> float:
    """Return the angle between the line through the positions and the slice normal."""
    if len(slices) < 2:
        return 0.0
    course = np.asarray(slices[-1].position) - np.asarray(slices[0].position)
    along = float(course @ normal)
    across = float(np.linalg.norm(course - along * normal))
    return float(np.degrees(np.arctan2(across, abs(along))))


def _tolerance(step: float) -> float:
    return max(SPACING_TOLERANCE * step, min(ROUNDING_MM, step / 4))


def _widest(slices: Sequence[Slice], gaps: npt.NDArray[np.float64]) -> str:
    index = int(np.argmax(gaps))
    return f"{slices[index].name} and {slices[index + 1].name}"


def _spacing(plane: Slice) -> tuple[float, float]:
    """Return row and column spacing in mm; 1 mm where the header has none (recorded by the writers)."""
    return (plane.spacing[0], plane.spacing[1]) if plane.spacing is not None else (1.0, 1.0)


def _orthonormal(plane: Slice) -> bool:
    if plane.orientation is None:
        return False
    row, column, _ = _axes(plane)
    axes = np.stack([row, column])
    return bool(np.allclose(axes @ axes.T, np.eye(2), atol=1e-2))


def _axes(plane: Slice) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the directions along a row, down a column, and their cross product, as unit vectors."""
    cosines = np.asarray(plane.orientation, dtype=np.float64)
    row, column = cosines[:3], cosines[3:]
    return row, column, np.cross(row, column)


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
