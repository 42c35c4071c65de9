"""Otsu's threshold on a saliency map (MedCLIP-SAMv2, section 3.2, Eq. 17)."""

import numpy as np
import numpy.typing as npt
from skimage.filters import threshold_otsu

LEVELS = 256


def otsu(saliency: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return the foreground (H, W) of a map (H, W) in [0, 1]: 256 levels, foreground above the threshold.

    A constant map has no foreground.
    """
    levels = np.clip(np.rint(saliency * (LEVELS - 1)), 0, LEVELS - 1).astype(np.uint8)
    if levels.min() == levels.max():
        return np.zeros(saliency.shape, dtype=bool)
    return np.asarray(levels > threshold_otsu(levels))
