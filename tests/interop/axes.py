"""An asymmetric phantom along all signed axis permutations, and where each of its voxels is in the body.

Every voxel of the phantom has a value of its own, so that whatever moves, flips or swaps anything is caught.
The truth is read from the files' own ImagePositionPatient, ImageOrientationPatient and PixelSpacing (PS3.3
C.7.6.2.1.1), one file at a time, without the code that is tested.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom

from operators.findings import Findings, crop_finding
from operators.stack import VolumeStack, build_stack
from operators.study import read_folder
from tests.operators.synthetic import volume

Points = dict[tuple[float, ...], float]
"""LPS millimetres, rounded to 0.01, of every voxel that is not zero, and its value."""

SPACING = (2.5, 0.8, 1.2)
"""Millimetres between slices, rows and columns: all different, so that swapped axes show."""
_WAYS = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
"""Patient directions as (LPS axis, sign)."""


@dataclass(frozen=True)
class Axes:
    """Directions in LPS along a row, down a column, and from one instance to the next."""

    row: tuple[float, ...]
    column: tuple[float, ...]
    instances: tuple[float, ...]

    def reversed(self) -> "Axes":
        """The same images, numbered the other way round."""
        return Axes(self.row, self.column, tuple(-part for part in self.instances))


def _unit(letter: str) -> tuple[float, ...]:
    axis, sign = _WAYS[letter]
    return tuple(float(sign * (index == axis)) for index in range(3))


SIGNED_PERMUTATIONS = {
    "".join(letters): Axes(*(_unit(letter) for letter in letters))
    for letters in itertools.permutations(_WAYS, 3)
    if len({_WAYS[letter][0] for letter in letters}) == 3
}
"""All 48: "RIA" has rows that run to the right, columns down, and instances from back to front."""
_OBLIQUE = Axes((0.96, 0.28, 0.0), (-0.224, 0.768, 0.6), (0.168, -0.576, 0.8))
OBLIQUE = {"oblique": _OBLIQUE, "oblique, reversed": _OBLIQUE.reversed()}


def phantom() -> npt.NDArray[np.int16]:
    """(slices, rows, columns): air, and a bent bar on three slices in which no two voxels are equal."""
    values = np.full((6, 24, 32), -900, dtype=np.int16)
    bar = np.zeros(values.shape, dtype=np.bool_)
    bar[1:4, 3:5, 4:13] = True
    bar[2:4, 5:9, 4:6] = True
    bar[3, 9, 4] = True
    values[bar] = 100 + np.arange(np.count_nonzero(bar))
    return values


def write_series(folder: Path, axes: Axes, modality: str = "CT") -> list[Path]:
    """Write the phantom as a series, one file per instance, in instance order."""

    def place(image: pydicom.Dataset, index: int) -> None:
        where = np.array([-20.0, 30.0, 100.0]) + index * SPACING[0] * np.array(axes.instances)
        image.ImagePositionPatient = [round(float(part), 6) for part in where]
        image.InstanceNumber = index + 1

    return volume(
        folder, phantom(), modality=modality, row=axes.row, column=axes.column, spacing=SPACING, edit=place
    )


def stack_in(folder: Path) -> VolumeStack:
    """Read the one series of a folder as the graph does."""
    (series,) = read_folder(folder).series
    stack = build_stack(series)
    assert isinstance(stack, VolumeStack)
    return stack


def find_bar(stack: VolumeStack) -> Findings:
    """Find the bar: its voxels are the mask, a thousandth of their value is the entropy in bits."""
    made = []
    for index, values in enumerate(stack.values):
        mask = (values > 0)[None]
        entropy = np.where(mask, values / 1000, 0).astype(np.float32)
        finding = crop_finding(index, stack.window.rule, mask, entropy)
        made += [finding] if finding else []
    assert len(made) == 3
    return Findings(tuple(made), ())


def points_in_files(paths: Sequence[Path]) -> Points:
    """Where the bar is according to the files of a single-frame series, and the entropy there."""
    found: Points = {}
    for path in paths:
        image = pydicom.dcmread(path)
        rows, columns = np.nonzero(image.pixel_array > 0)
        cosines = np.array(image.ImageOrientationPatient, dtype=np.float64)
        down, along = image.PixelSpacing
        places = (
            np.array(image.ImagePositionPatient, dtype=np.float64)
            + columns[:, None] * along * cosines[:3]
            + rows[:, None] * down * cosines[3:]
        )
        found |= rounded(places, image.pixel_array[rows, columns] / 1000)
    return found


def rounded(places: npt.NDArray[np.float64], values: npt.NDArray[np.generic]) -> Points:
    """Pair places, (n, 3) in millimetres, with their values."""
    keys = (np.round(places, 2) + 0.0).tolist()  # + 0.0: no negative zero
    found = {tuple(key): round(float(value), 5) for key, value in zip(keys, values, strict=True)}
    assert len(found) == len(keys), "two voxels at one place"
    return found


def points_in_array(values: npt.NDArray[np.generic], affine: npt.NDArray[np.float64]) -> Points:
    """Points of an array (slices, rows, columns) with its affine from index to LPS millimetres."""
    index = np.argwhere(values != 0)
    return rounded(index @ affine[:3, :3].T + affine[:3, 3], values[tuple(index.T)])
