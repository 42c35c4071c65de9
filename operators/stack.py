"""What the method sees of a series: a stack of 8-bit images, each tied to the plane it came from.

A CT or MR series becomes a volume (ascending slices on a proved grid, one window for all); CR, DX, MG and US
become pictures, each with its own window.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.contracts import Image
from models.intensity import IDENTITY, Window, choose_window, display
from operators.gate import gate
from operators.geometry import Grid, build_grid
from operators.pixels import Values, is_colour, read_colour, read_values, voi_window
from operators.slices import Slice, is_volumetric
from operators.study import Series


@dataclass(frozen=True, eq=False)
class ImageStack:
    """Images of one series, ready for the method.

    ``planes`` are in stack order (for a volume: ascending along the slice normal). ``grid``, ``values``
    ((slices, rows, columns) float32) and ``window`` belong to a volume and are None for pictures, whose
    pixels are decoded one by one when asked for.
    """

    series: Series
    planes: tuple[Slice, ...]
    grid: Grid | None = None
    values: npt.NDArray[np.float32] | None = field(default=None, repr=False)
    window: Window | None = None
    window_name: str = "auto"

    def image(self, index: int) -> Image:
        """Return plane ``index`` as (H, W, 3) uint8 RGB, windowed for display."""
        plane = self.planes[index]
        if is_colour(plane):
            return read_colour(plane)
        values = self._values_of(index)
        return display(values, self._window_of(plane, values))

    def window_of(self, index: int) -> Window:
        """Return the window of plane ``index``: that of the volume, or the picture's own."""
        plane = self.planes[index]
        return IDENTITY if is_colour(plane) else self._window_of(plane, self._values_of(index))

    def _values_of(self, index: int) -> Values:
        return read_values(self.planes[index]) if self.values is None else self.values[index]

    def _window_of(self, plane: Slice, values: Values) -> Window:
        if self.window is not None:
            return self.window
        return choose_window(values, plane.instance.modality, self.window_name, voi_window(plane))


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
        return ImageStack(series, planes, window_name=window)
    grid = build_grid(planes)
    ordered = tuple(planes[index] for index in grid.order)
    values = np.empty(grid.shape, dtype=np.float32)
    for index, plane in enumerate(ordered):
        values[index] = read_values(plane)
    modality = series.modality
    chosen = choose_window(values, modality, window, voi_window(ordered[len(ordered) // 2]))
    return ImageStack(series, ordered, grid, values, chosen, window)
