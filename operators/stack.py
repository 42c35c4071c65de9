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
class View:
    """One plane as the method sees it: (H, W, 3) uint8 RGB, and the window that made it."""

    image: Image = field(repr=False)
    window: Window


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

    def view(self, index: int) -> View:
        """Return slice ``index`` as the method sees it."""
        return View(display(self.values[index], self.window), self.window)


@dataclass(frozen=True, eq=False)
class PictureStack:
    """The pictures of a series in order of InstanceNumber and frame; decoded one by one when asked for."""

    series: Series
    planes: tuple[Slice, ...]
    window_name: str = "auto"

    def view(self, index: int) -> View:
        """Decode picture ``index`` and return it as the method sees it: a grey one windowed for display."""
        plane = self.planes[index]
        if is_colour(plane):
            return View(read_colour(plane), IDENTITY)
        values = read_values(plane)
        window = choose_window(values, plane.instance.modality, self.window_name, voi_window(plane))
        return View(display(values, window), window)


ImageStack: TypeAlias = VolumeStack | PictureStack


def window_rule(stack: ImageStack) -> str:
    """Return by which rule a stack's values became what was judged."""
    return stack.window.rule if isinstance(stack, VolumeStack) else "a window for each picture"


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
