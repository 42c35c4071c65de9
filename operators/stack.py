"""What the method sees of a series: a stack of 8-bit images, each tied to the plane it came from.

A CT or MR series becomes a volume (ascending slices on a proved grid, one window for all); CR, DX, MG and US
become pictures, each with its own window.
"""

import math
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from models.contracts import Image
from models.intensity import AUTO, IDENTITY, Window, WindowChoice, choose_window, display, sample
from operators import header as tags
from operators.gate import gate
from operators.geometry import Grid
from operators.pixels import read_colour, read_values
from operators.regions import SearchArea, search_area
from operators.slices import Slice, is_colour
from operators.study import Series
from operators.task import CentreWidth, Percentiles, Task
from operators.voi import picture_window, upright


@dataclass(frozen=True, eq=False)
class View:
    """One plane for display: (H, W, 3) uint8 RGB, and the window that made it.

    ``area`` is the part of it that is searched; None is all of it.
    """

    image: Image = field(repr=False)
    window: Window
    area: SearchArea | None = None

    @property
    def searched(self) -> Image:
        """The image as the method sees it."""
        return self.image if self.area is None else self.area.cut(self.image)


@dataclass(frozen=True, eq=False)
class VolumeStack:
    """The slices of a volume, ascending along the slice normal on ``grid``; one ``window`` for all of them.

    They are decoded one by one when asked for: 600 slices of 512 x 512 have 0.6 GB of values.
    """

    series: Series
    planes: tuple[Slice, ...]
    grid: Grid
    window: Window

    def view(self, index: int) -> View:
        """Decode slice ``index`` and window it for display."""
        return View(display(read_values(self.planes[index]), self.window), self.window)


@dataclass(frozen=True, eq=False)
class PictureStack:
    """The pictures of a series in order of InstanceNumber and frame; decoded one by one when asked for."""

    series: Series
    planes: tuple[Slice, ...]
    choice: WindowChoice = AUTO

    def view(self, index: int) -> View:
        """Decode picture ``index``; a grey one is windowed for display."""
        plane = self.planes[index]
        if is_colour(plane.instance):
            image, window = read_colour(plane), IDENTITY
        else:
            values, window = picture_window(plane, read_values(plane), self.choice)
            image = display(values, window)
        area = search_area(plane)
        if area is not None:
            window = replace(window, rule=f"{window.rule}; {area.rule}")
        return View(image, window, area)


ImageStack: TypeAlias = VolumeStack | PictureStack


def window_rule(stack: ImageStack) -> str:
    """Return by which rule a stack's values became what was judged."""
    return stack.window.rule if isinstance(stack, VolumeStack) else "a window for each picture"


def build_stack(series: Series, choice: WindowChoice = AUTO) -> ImageStack:
    """Pass a series, or one phase of it, through the gate and make its stack.

    Every slice of a volume is decoded once here, for the window, and so that none turns out to be damaged
    when the others have been worked on.

    Raises
    ------
    InputError
        The series' own fault, or PIXELS_UNDECODABLE, PIXELS_TOO_LARGE.
    GeometryError
        When the slices of a volumetric series do not form one grid.
    """
    passed = gate(series)
    grid = passed.grid
    if grid is None:
        return PictureStack(series, passed.planes, choice)
    ordered = tuple(passed.planes[index] for index in grid.order)
    values = sample((read_values(plane) for plane in ordered), math.prod(grid.shape))
    window = upright(choose_window(values, series.modality, choice), ordered[0])
    return VolumeStack(series, ordered, grid, _with_remark(window, series.modality, ordered[0]))


def window_choice(task: Task) -> WindowChoice:
    """Return what a task says about windows."""
    if isinstance(task.window, CentreWidth):
        return WindowChoice(centre_width=(task.window.centre, task.window.width))
    if isinstance(task.window, Percentiles):
        return WindowChoice(percentiles=task.window.percentiles)
    return WindowChoice(task.window)


def _with_remark(window: Window, modality: str, plane: Slice) -> Window:
    """Say where values are taken for what they are not said to be."""
    rescaled = all(tags.number(plane.values, f"Rescale{part}") is not None for part in ("Slope", "Intercept"))
    if modality != "CT" or rescaled:
        return window
    return replace(window, rule=f"{window.rule}; no rescale in the header, stored values taken as HU")
