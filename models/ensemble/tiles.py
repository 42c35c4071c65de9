"""Which part of a slice a network sees, in tiles that overlap and are weighed as nnU-Net does it.

Coordinates are rows and columns of the preprocessed slice.
"""

from dataclasses import dataclass
from functools import cache
from math import ceil, floor

import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window
from torch import Tensor

from models.placement import Box

Size = tuple[int, int]
"""(rows, columns)."""

MARGIN = 1 / 8
"""Of a tile's side, around a region: one sigma of the weight that nnU-Net gives the places of a tile."""

PEAK = 10
"""The weight at the middle of a tile, as nnU-Net sets it against underflow in half precision."""


@dataclass(frozen=True)
class Window:
    """A rectangle of a slice, half open."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> Size:
        """(rows, columns)."""
        return self.bottom - self.top, self.right - self.left

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Index of the rectangle in a slice."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def whole(size: Size) -> Window:
    """Return the window that is all of a slice."""
    return Window(0, 0, *size)


def window_around(region: Box, size: Size, tile: Size) -> Window:
    """Return what is computed for a region of a slice of ``size``: the region, its margin, at least a tile.

    What a tile needs beyond region and margin is taken from the slice itself, evenly on both sides as far as
    the slice reaches: the network normalises by what it sees, and it learnt from tiles of this size.
    """
    x0, y0, x1, y1 = region
    top, bottom = _stretch(y0, y1, size[0], tile[0])
    left, right = _stretch(x0, x1, size[1], tile[1])
    return Window(top, left, bottom, right)


def _stretch(low: float, high: float, length: int, tile: int) -> tuple[int, int]:
    start = max(0, floor(low - MARGIN * tile))
    stop = min(length, ceil(high + MARGIN * tile))
    span = max(stop - start, min(tile, length))
    start = min(max(0, start - (span - (stop - start)) // 2), length - span)
    return start, start + span


def padded(pixels: Tensor, tile: Size) -> tuple[Tensor, tuple[slice, slice]]:
    """Pad (C, h, w) with zeros to at least a tile as nnU-Net does; return it and where the pixels lie."""
    result, inside = pad_nd_image(pixels, tile, "constant", {"value": 0}, return_slicer=True)
    return result, (inside[1], inside[2])


def corners(size: Size, tile: Size, step: float) -> tuple[Size, ...]:
    """Return the upper left corners of nnU-Net's tiles over a padded window, in reading order.

    ``step`` is the largest distance of neighbours as a share of the tile.
    """
    rows, columns = compute_steps_for_sliding_window(size, tile, step)
    return tuple((row, column) for row in rows for column in columns)


@cache
def importance(tile: Size) -> Tensor:
    """Return nnU-Net's weight of every place of a tile (h, w) in half precision."""
    weight: Tensor = compute_gaussian(tile, value_scaling_factor=PEAK, device=torch.device("cpu"))
    return weight
