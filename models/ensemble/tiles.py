"""How a network sees a slice: in tiles that overlap and are weighed as nnU-Net does it.

Coordinates are rows and columns of the preprocessed slice.
"""

from functools import cache

import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window
from torch import Tensor

Size = tuple[int, int]
"""(rows, columns)."""

PEAK = 10
"""The weight at the middle of a tile, as nnU-Net sets it against underflow in half precision."""


def padded(pixels: Tensor, tile: Size) -> tuple[Tensor, tuple[slice, slice]]:
    """Pad (C, h, w) with zeros to at least a tile as nnU-Net does; return it and where the pixels lie."""
    result, inside = pad_nd_image(pixels, tile, "constant", {"value": 0}, return_slicer=True)
    return result, (inside[1], inside[2])


def corners(size: Size, tile: Size, step: float) -> tuple[Size, ...]:
    """Return the upper left corners of nnU-Net's tiles over a padded slice, in reading order.

    ``step`` is the largest distance of neighbours as a share of the tile.
    """
    rows, columns = compute_steps_for_sliding_window(size, tile, step)
    return tuple((row, column) for row in rows for column in columns)


@cache
def importance(tile: Size) -> Tensor:
    """Return nnU-Net's weight of every place of a tile (h, w) in half precision."""
    weight: Tensor = compute_gaussian(tile, value_scaling_factor=PEAK, device=torch.device("cpu"))
    return weight
