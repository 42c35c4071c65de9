"""The regular grid of a volume: from array index to millimetres in the body."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import GeometryError
from operators.faults import find_faults
from operators.geometry_fault import GeometryFault
from operators.slices import Slice, axes, pixel_spacing

Affine = npt.NDArray[np.float64]
"""(4, 4) matrix from array index (slice, row, column, 1) to LPS millimetres."""


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


def build_grid(slices: Sequence[Slice]) -> Grid:
    """Return the grid that ``slices`` form, whatever their order.

    Raises
    ------
    GeometryError
        With the code of the first fault and a message that names every fault, the slices and what to do.
    """
    faults = find_faults(slices)
    if faults:
        raise _error(faults)
    row, column, normal = axes(slices[0])
    positions = np.array([plane.position for plane in slices], dtype=np.float64)
    order = tuple(int(index) for index in np.argsort(positions @ normal, kind="stable"))
    first = positions[order[0]]
    row_mm, column_mm = pixel_spacing(slices[0])
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


def _error(faults: Sequence[GeometryFault]) -> GeometryError:
    """Return one error for all faults: it has the first one's code, and names those of the others."""
    first, *others = faults
    reasons = [first.reason, *(f"Also {fault.code}: {fault.reason}" for fault in others)]
    remedies = dict.fromkeys(fault.remedy for fault in faults)
    return GeometryError(first.code, " ".join([*reasons, *remedies]))
