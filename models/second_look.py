"""A second, closer look at what the first one found.

The encoder sees an image as a grid of a few dozen tokens a side, and a small lesion as a handful of them. In
a window around what was found the same lesion fills many. A closer look sees less around it, too, and may
take something else for the target: it counts only where it agrees with the first one.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.evaluation.metrics import dice
from models.segmenters.prompts import tight_box
from models.stages import Members
from models.uncertainty import THRESHOLD

Window = tuple[slice, slice]
"""Rows and columns of an image."""


@dataclass(frozen=True)
class SecondLook:
    """When there is a second look, and when it counts.

    Attributes
    ----------
    agreement
        DSC of the two looks' masks from which on both vote. 1 never looks again.
    margin
        What the window adds on each side of the box of what was found, as a share of the box.
    least
        The window's least side, as a share of the image's.
    at_most
        A window that covers more of the image than this shows nothing closer: there is no second look.
    """

    agreement: float = 1.0
    margin: float = 0.5
    least: float = 0.35
    at_most: float = 0.75


def window_around(marked: npt.NDArray[np.bool_], settings: SecondLook) -> Window | None:
    """Return where to look again for what is marked on an image (H, W); None where there is no need to."""
    if settings.agreement >= 1.0 or not marked.any():
        return None
    height, width = marked.shape
    x0, y0, x1, y1 = tight_box(marked)
    window = _span(y0, y1, height, settings), _span(x0, x1, width, settings)
    covered = np.prod([side.stop - side.start for side in window]) / marked.size
    return window if covered <= settings.at_most else None


def _span(low: float, high: float, length: int, settings: SecondLook) -> slice:
    """Return the window along one axis: around the middle of what was found, moved inside the image."""
    side = min(length, max((high - low) * (1 + 2 * settings.margin), settings.least * length))
    start = round(min(max(0.0, (low + high - side) / 2), length - side))
    return slice(start, min(length, round(start + side)))


def joined(first: Members, second: Members, window: Window, settings: SecondLook) -> Members:
    """Return the members of both looks on the pixels of the first, or those of the first alone.

    ``second`` saw ``window`` only; outside it, its members mark nothing. Both looks have as many members, so
    that their mean is the mean of the looks.
    """
    placed = np.zeros_like(first.probability)
    if second.status is None:
        placed[:, window[0], window[1]] = second.probability
    masks = [members.mean(0) > THRESHOLD for members in (first.probability, placed)]
    agreement = dice(masks[0], masks[1])
    if agreement is None or agreement < settings.agreement:
        return first
    return Members(np.concatenate([first.probability, placed]))
