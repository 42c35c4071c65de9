"""The size at which an ensemble sees images: one length of the longer side, for training and for the vote.

Masks are averaged down and cut at one half. The released conversion resizes masks bicubically and takes all
that is above zero, which enlarges every object.
"""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from models.contracts import Image


def framed_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Return (rows, columns) of an image whose longer side becomes ``side``, the other at least 1."""
    scale = side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def framed(image: Image, side: int) -> npt.NDArray[np.uint8]:
    """Return the grey image (h, w) uint8 of an RGB image (H, W, 3), its longer side ``side``."""
    grey = image.astype(np.float32).mean(axis=2)
    return np.asarray(
        np.rint(_resized(grey, framed_size(grey.shape[0], grey.shape[1], side))), dtype=np.uint8
    )


def framed_mask(mask: npt.NDArray[np.bool_], side: int) -> npt.NDArray[np.bool_]:
    """Return a mask (H, W) at the size of its framed image: a pixel is inside where half of it is."""
    return np.asarray(
        _resized(mask.astype(np.float32), framed_size(mask.shape[0], mask.shape[1], side)) >= 0.5
    )


def unframed(values: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    """Return values (h, w) of a framed image on the pixels of the original (height, width), bilinear."""
    return _resized(values, (height, width))


def _resized(values: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    grid = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    resized: npt.NDArray[np.float32] = F.interpolate(grid, size=size, mode="bilinear", antialias=True)[
        0, 0
    ].numpy()
    return resized
