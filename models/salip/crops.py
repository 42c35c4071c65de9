"""What CLIP is shown of a region: a crop of the image, or the image with the region marked on it.

Every variant ends in a square. CLIP's preprocessing cuts off what lies beyond a centred square, so that the
released code loses both ends of a long thin crop such as a lung; padded to a square, nothing is cut.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.contracts import Image
from models.masks.components import EIGHT
from models.segmenters.prompts import tight_box

Crop = Literal["crop", "expand", "box", "reverse-box", "contour"]
"""``crop``: the region's pixels in its tight box; ``expand``: the box and a rim, unmasked; ``box``: the
image with a red rectangle; ``reverse-box``: the image, half grey outside the box; ``contour``: the image with
the region's contours in red."""

RED = (255, 0, 0)
GREY = (124, 116, 104)
"""CLIP's mean colour, near enough."""

FRAME = 5
"""Width of the red rectangle in pixels."""


def crop(image: Image, mask: npt.NDArray[np.bool_], variant: Crop, pad: int, background: int) -> Image:
    """Return the square picture (S, S, 3) of one region.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    mask
        (H, W) bool, not empty.
    variant
        See :data:`Crop`.
    pad
        Rim of ``expand`` in pixels.
    background
        Grey value of what is masked out and of the padding.
    """
    x0, y0, x1, y1 = (int(side) for side in tight_box(mask))
    if variant == "crop":
        shown = np.where(mask[..., None], image, np.uint8(background))[y0:y1, x0:x1]
    elif variant == "expand":
        shown = image[max(0, y0 - pad) : y1 + pad, max(0, x0 - pad) : x1 + pad]
    else:
        shown = image.copy()
        if variant == "box":
            shown[_frame(mask.shape, (x0, y0, x1, y1))] = RED
        elif variant == "reverse-box":
            outside = np.ones(mask.shape, np.bool_)
            outside[y0:y1, x0:x1] = False
            shown[outside] = (image[outside].astype(np.uint16) + GREY) // 2
        else:
            shown[contours(mask)] = RED
    return squared(shown, background)


def contours(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the outline of a mask (H, W), three pixels wide, around its holes as well."""
    outline: npt.NDArray[np.bool_] = ndimage.binary_dilation(
        mask & ~ndimage.binary_erosion(mask, EIGHT), EIGHT
    )
    return outline


def squared(image: Image, background: int) -> Image:
    """Centre an image (H, W, 3) in the smallest square around it; an odd pixel goes below or to the right."""
    height, width = image.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.full((side, side, 3), background, np.uint8)
    square[top : top + height, left : left + width] = image
    return square


def _frame(shape: tuple[int, ...], box: tuple[int, int, int, int]) -> npt.NDArray[np.bool_]:
    """Return a rectangle ``FRAME`` pixels wide along the border of a box, two of them outside it."""
    x0, y0, x1, y1 = box
    outer, inner = FRAME // 2, FRAME - FRAME // 2
    frame = np.zeros(shape, np.bool_)
    frame[max(0, y0 - outer) : y1 + outer, max(0, x0 - outer) : x1 + outer] = True
    frame[y0 + inner : max(y0 + inner, y1 - inner), x0 + inner : max(x0 + inner, x1 - inner)] = False
    return frame
