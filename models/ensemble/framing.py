"""What an ensemble sees of an image: a window around what the method found there, or all of it, at one size.

A window lets a small network judge outlines: where the target lies, the method has said already. Masks are
averaged down and cut at one half. The released conversion resizes masks bicubically and takes all that is
above zero, which enlarges every object.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from models.contracts import Image
from models.labelled import Labelled
from models.masks.components import widen
from models.placement import Box
from models.segmenters.prompts import tight_box

LEAST_SIDE = 16.0
"""Of a window in pixels: the neighbourhood of a few pixels says nothing."""

VIEW = "__"
"""Between the name of an image and the number of a window on it."""

VIEWS = 3
"""Windows on each image for training: the first as it is asked later, the others shifted, of other widths."""

SHIFT = 0.15
WIDTHS = (0.4, 2.0)
"""How far a window for training is off at most, as a share of the box, and the range of its margin."""


@dataclass(frozen=True)
class Framing:
    """How images are framed: ``side`` is the length of the longer side in pixels.

    ``around`` is what is added on each side of the box of what was found, as a share of the box; None: the
    whole image is seen.
    """

    side: int
    around: float | None = None

    def window(self, region: Box, size: tuple[int, int]) -> tuple[slice, slice]:
        """Return rows and columns of an image of (height, width) that are seen for a region."""
        if self.around is None:
            return slice(0, size[0]), slice(0, size[1])
        return _pixels(widen(region, self.around, (0.0, 0.0), size), size)

    def views(self, item: Labelled, seed: int) -> Iterator[Labelled]:
        """Yield what training sees of a labelled image: of whole images one, of windows :data:`VIEWS`.

        Without a mask there is no window: the ensemble is never asked where nothing was found.
        """
        if self.around is None:
            yield item
            return
        if not item.mask.any():
            return
        size = (item.mask.shape[0], item.mask.shape[1])
        box = tight_box(item.mask)
        rng = np.random.default_rng((seed, *item.name.encode()))
        for number in range(VIEWS):
            shift, margin = (0.0, 0.0), self.around
            if number:
                low, high = (limit * self.around for limit in WIDTHS)
                shift = (float(rng.uniform(-SHIFT, SHIFT)), float(rng.uniform(-SHIFT, SHIFT)))
                margin = float(rng.uniform(low, high))
            seen = _pixels(widen(box, margin, shift, size), size)
            yield Labelled(
                f"{item.name}{VIEW}{number}", item.image[seen], item.mask[seen], item.patient or item.name
            )

    def seen_in(self, view: str) -> str:
        """Return the name of the image that the view of that name shows."""
        return view if self.around is None else view.rpartition(VIEW)[0]


def _pixels(box: Box, size: tuple[int, int]) -> tuple[slice, slice]:
    """Return rows and columns that hold a box, at least :data:`LEAST_SIDE` where the image has as many."""
    x0, y0, x1, y1 = box
    rows, columns = _span(y0, y1, size[0]), _span(x0, x1, size[1])
    return slice(*rows), slice(*columns)


def _span(low: float, high: float, length: int) -> tuple[int, int]:
    missing = max(0.0, LEAST_SIDE - (high - low)) / 2
    start, stop = max(0, int(np.floor(low - missing))), min(length, int(np.ceil(high + missing)))
    return min(start, length - 1), max(stop, min(start, length - 1) + 1)


def framed_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Return (rows, columns) of an image whose longer side becomes ``side``, the other at least 1."""
    scale = side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def framed(image: Image, side: int) -> npt.NDArray[np.uint8]:
    """Return the grey image (h, w) uint8 of an RGB image (H, W, 3), its longer side ``side``."""
    grey = image.astype(np.float32).mean(axis=2)
    size = framed_size(grey.shape[0], grey.shape[1], side)
    return np.asarray(np.rint(_resized(grey, size)), dtype=np.uint8)


def framed_mask(mask: npt.NDArray[np.bool_], side: int) -> npt.NDArray[np.bool_]:
    """Return a mask (H, W) at the size of its framed image: a pixel is inside where half of it is."""
    size = framed_size(mask.shape[0], mask.shape[1], side)
    return np.asarray(_resized(mask.astype(np.float32), size) >= 0.5)


def unframed(values: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    """Return values (h, w) of a framed image on the pixels of the original (height, width), bilinear."""
    return _resized(values, (height, width))


def _resized(values: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    grid = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    resized = F.interpolate(grid, size=size, mode="bilinear", antialias=True)[0, 0]
    return np.asarray(resized.numpy(), dtype=np.float32)
