"""From a saliency map to foreground and background (MedCLIP-SAMv2, section 3.2, Eq. 17)."""

import numpy as np
import numpy.typing as npt
from skimage.filters import threshold_otsu

LEVELS = 256


def checked(saliency: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the map if it is (H, W) and finite everywhere, else raise ValueError."""
    if saliency.ndim != 2 or not saliency.size:
        raise ValueError(f"a saliency map is (rows, columns), got an array of shape {saliency.shape}")
    if not np.isfinite(saliency).all():
        raise ValueError(
            "the saliency map holds values that are not finite; it has no foreground to look for"
        )
    return saliency


def otsu(saliency: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return the foreground (H, W) of a map (H, W) in [0, 1]: 256 levels, foreground above the threshold.

    The paper's foreground is ``level >= eta``; with Otsu's threshold ``t`` on integer levels that is the same
    set for ``eta = t + 1``. A constant map has no foreground. Raises ValueError for a map that is not finite.
    """
    levels = _levels(saliency)
    if levels.min() == levels.max():
        return np.zeros(saliency.shape, dtype=bool)
    return np.asarray(levels > threshold_otsu(levels))


def two_means(saliency: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return the brighter of the two clusters (H, W) of a map (H, W) in [0, 1], on 256 levels.

    The optimum over all splits of the sum of squares within the clusters, found by trying each, hence without
    a random start; of equal splits the lowest. It is the criterion of Otsu's threshold, so that the two
    differ only between equal splits; the k-means of the papers' released code may stop one level away.
    A constant map has no foreground. Raises ValueError for a map that is not finite.
    """
    levels = _levels(saliency)
    counts = np.bincount(levels.ravel(), minlength=LEVELS)
    # Integers, so that equal splits are equal: levels up to each one, and their sum.
    below, total = counts.cumsum()[:-1], int(counts.sum())
    sums = (counts * np.arange(LEVELS)).cumsum()
    splits = (below > 0) & (below < total)
    if not splits.any():
        return np.zeros(saliency.shape, dtype=bool)
    gap = (sums[:-1] * total - below * sums[-1]).astype(np.float64)
    between = np.where(splits, gap**2 / np.maximum(below * (total - below), 1), -1.0)
    return np.asarray(levels > int(between.argmax()))


def fixed(saliency: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.bool_]:
    """Return where a map (H, W) is above a threshold. Raises ValueError for a map that is not finite."""
    return np.asarray(checked(saliency) > threshold)


def _levels(saliency: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Round a map in [0, 1] to 256 levels."""
    return np.clip(np.rint(checked(saliency) * (LEVELS - 1)), 0, LEVELS - 1).astype(np.uint8)
