"""What the method sees of a series: a stack of 8-bit images, each tied to the plane it came from.

A CT or MR series becomes a volume (ascending slices on a proved grid, one window for all); CR, DX, MG and US
become pictures, each with its own window.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from models.contracts import Image
from models.intensity import IDENTITY, Window, choose_window, display
from operators.gate import gate
from operators.geometry import Grid, build_grid
from operators.pixels import is_colour, read_colour, read_values, voi_window
from operators.slices import Slice, is_volumetric
from operators.study import Series


@dataclass(frozen=True, eq=False)
class VolumeStack:
    """The slices of a volume, ascending along the slice normal.

    ``values`` is (slices, rows, columns) float32 on ``grid``; ``window`` was chosen on all of it.
    """

    series: Series
    planes: tuple[Slice, ...]
    grid: Grid
    values: npt.NDArray[np.float32] = field(repr=False)
    window: Window

    def image(self, index: int) -> Image:
        """Return slice ``index`` as (H, W, 3) uint8 RGB, windowed for display."""
        return display(self.values[index], self.window)

    def window_of(self, index: int) -> Window:
        """Return the window of slice ``index``: that of the volume."""
        del index
        return self.window


@dataclass(frozen=True, eq=False)
class PictureStack:
    """The pictures of a series in order of InstanceNumber and frame; decoded one by one when asked for."""

    series: Series
    planes: tuple[Slice, ...]
    window_name: str = "auto"

    def image(self, index: int) -> Image:
        """Return picture ``index`` as (H, W, 3) uint8 RGB, a grey one windowed for display."""
        plane = self.planes[index]
        if is_colour(plane):
            return read_colour(plane)
        values = read_values(plane)
        return display(values, self._choose(plane, values))

    def window_of(self, index: int) -> Window:
        """Return the window of picture ``index``."""
        plane = self.planes[index]
        return IDENTITY if is_colour(plane) else self._choose(plane, read_values(plane))

    def _choose(self, plane: Slice, values: npt.NDArray[np.float32]) -> Window:
        return choose_window(values, plane.instance.modality, self.window_name, voi_window(plane))


ImageStack: TypeAlias = VolumeStack | PictureStack


def build_stack(series: Series, window: str = "auto") -> ImageStack:
    """Pass a series through the gate and make its stack.

    Raises
    ------
    InputError
        The series' own fault, or PIXELS_UNDECODABLE, PIXELS_TOO_LARGE.
    GeometryError
        When the slices of a volumetric series do not form one grid.
    """
    planes = gate(series)
    if not is_volumetric(series.instances[0]):
        return PictureStack(series, planes, window)
    grid = build_grid(planes)
    ordered = tuple(planes[index] for index in grid.order)
    values = np.empty(grid.shape, dtype=np.float32)
    for index, plane in enumerate(ordered):
        values[index] = read_values(plane)
    chosen = choose_window(values, series.modality, window, voi_window(ordered[len(ordered) // 2]))
    return VolumeStack(series, ordered, grid, values, chosen)
