"""One phantom of the body, laid out in every way in which rows, columns and slices can follow its axes."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.findings import Findings, crop_finding
from operators.stack import VolumeStack
from tests.operators.results import values_of
from tests.operators.synthetic import volume

SIGNED_AXES = [
    np.array([signs[i] * np.eye(3)[axes[i]] for i in range(3)])
    for axes in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
"""All 48 ways to lay rows, columns and slices along the axes of the body, mirrored ones among them.

A row of each matrix is the direction along a row, down a column, and from file to file. Where the third is
not the cross product of the first two, the files descend along the slice normal.
"""

SPACING = np.array([0.75, 1.25, 2.5])
"""Millimetres between the voxels of the phantom along x, y and z."""
CORNER = np.array([-20.0, 30.0, 100.0])
"""LPS millimetres of the phantom's first voxel."""
SHAPE = (12, 8, 10)
"""Any two sides of it are a matrix of whole bytes of bits, so that segments are BINARY."""

OBLIQUE = np.linalg.qr(np.array([[0.9, -0.2, 0.3], [0.3, 0.95, -0.1], [-0.2, 0.2, 0.9]]))[0]
OBLIQUE = OBLIQUE * np.sign(np.linalg.det(OBLIQUE))
"""A rotation that leaves nothing parallel to an axis."""

EVERY_WAY = [(axes, None) for axes in SIGNED_AXES] + [(axes, OBLIQUE) for axes in SIGNED_AXES[::6]]
"""(axes, turn): all 48 along the axes of the body, and a sample of them oblique."""


def body() -> npt.NDArray[np.int16]:
    """(x, y, z) values: three blocks that no mirror and no rotation maps onto themselves."""
    values = np.zeros(SHAPE, dtype=np.int16)
    values[1:7, 2:4, 1:3] = 400
    values[1:3, 2:7, 2:4] = 600
    values[5:6, 1:3, 4:6] = 800
    return values


def points(turn: npt.NDArray[np.float64] | None = None) -> dict[tuple[float, ...], int]:
    """Value by LPS millimetres (rounded to 0.01) of every voxel of the phantom that is not empty."""
    values = body()
    index = np.argwhere(values)
    places = CORNER + (index * SPACING) @ (np.eye(3) if turn is None else turn).T
    return {_rounded(place): int(values[tuple(at)]) for at, place in zip(index, places, strict=True)}


def arranged(
    folder: Path, axes: npt.NDArray[np.float64], turn: npt.NDArray[np.float64] | None = None, **options: Any
) -> list[Path]:
    """Write the phantom, turned by ``turn``, as a CT whose rows, columns and files follow ``axes``.

    ``options`` are those of :func:`volume`.
    """
    values, origin = body(), CORNER.copy()
    turned = np.eye(3) if turn is None else turn
    order = [int(np.argmax(np.abs(axis))) for axis in axes]
    for axis in axes:
        at = int(np.argmax(np.abs(axis)))
        if axis[at] < 0:
            values = np.flip(values, at)
            origin += (SHAPE[at] - 1) * SPACING[at] * turned[:, at]
    along_row, along_column, between = (axis @ turned.T for axis in axes)
    stored = np.ascontiguousarray(values.transpose(order[2], order[1], order[0]))
    normal = np.cross(along_row, along_column)
    return volume(
        folder,
        stored,
        origin=origin,
        row=tuple(along_row),
        column=tuple(along_column),
        spacing=(float(between @ normal) * SPACING[order[2]], SPACING[order[1]], SPACING[order[0]]),
        **options,
    )


def found_everywhere(stack: VolumeStack, targets: Sequence[Sequence[int]] = ((400, 600, 800),)) -> Findings:
    """Findings whose targets have the values named, and as entropy the value in thousandths."""
    made = []
    for index, values in enumerate(values_of(stack)):
        masks = np.stack([np.isin(values, names) for names in targets])
        entropy = np.where(masks, values / 1000, 0).astype(np.float32)
        finding = crop_finding(index, stack.window.rule, masks, entropy)
        made += [finding] if finding is not None else []
    return Findings(tuple(made), ())


def valued_points(
    values: npt.NDArray[np.floating], affine: npt.NDArray[np.float64]
) -> dict[tuple[float, ...], float]:
    """Value by LPS millimetres (rounded to 0.01) of every voxel (slices, rows, columns) above zero."""
    index = np.argwhere(values > 0)
    places = index @ affine[:3, :3].T + affine[:3, 3]
    return {_rounded(place): float(values[tuple(at)]) for at, place in zip(index, places, strict=True)}


def _rounded(place: npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple((np.round(place, 2) + 0.0).tolist())
