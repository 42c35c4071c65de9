"""The regions that SAM proposes: which are of a possible size, and which are the same."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.segmenters.everything import Region


def of_area(regions: Sequence[Region], area: tuple[float, float]) -> tuple[Region, ...]:
    """Keep regions whose share of the image is at least ``area[0]`` and strictly below ``area[1]``.

    SaLIP, Eq. 2, with fractions of the image instead of pixels, so that one setting serves every image size.
    The upper bound removes the background and masks of everything; the lower one specks.
    """
    smallest, largest = area
    return tuple(region for region in regions if smallest <= region.area / region.mask.size < largest)


def overlap(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """Return the intersection over union of two masks (H, W), 0 where both are empty."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 0.0
