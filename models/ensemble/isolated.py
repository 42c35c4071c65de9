"""What a target has on too few slices to be real: isolated false positives along the slice axis.

Planes are judged one by one, and no plane knows its neighbours. This rule puts them together again: a
component of the volume (26-connected) is isolated, and taken away, where it reaches over less than
``LEAST_MM`` along the slice axis *and* has less than ``SHARE`` of the voxels of the largest component.

So the largest component always stays, something found never becomes nothing, and where slices lie
``LEAST_MM`` apart, one of them is enough.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

LEAST_MM = 10.0
"""What is smaller is not measurable by RECIST 1.1 either (Eisenhauer et al. 2009)."""

SHARE = 0.3
"""As components within a slice are chosen (:class:`models.masks.coarse.MaskSettings`)."""

TOUCHING = np.ones((3, 3, 3), dtype=np.bool_)

BoolArray = npt.NDArray[np.bool_]


def without_isolated(mask: BoolArray, spacing: float) -> BoolArray:
    """Return a mask without its isolated components.

    Parameters
    ----------
    mask
        (slices, H, W).
    spacing
        Between the slices, in mm.
    """
    labels, count = ndimage.label(mask, TOUCHING)
    if count < 2:
        return mask
    voxels = np.bincount(labels.ravel())
    voxels[0] = 0
    extents = [spacing * (box[0].stop - box[0].start) for box in ndimage.find_objects(labels)]
    thin = np.array([0.0, *extents]) < LEAST_MM
    isolated = thin & (voxels < SHARE * voxels.max())
    kept: BoolArray = mask & ~isolated[labels]
    return kept


def planes_without_isolated(planes: Mapping[int, BoolArray], spacing: float) -> dict[int, BoolArray]:
    """Return the masks (H, W) of single planes, by their place in the stack, without isolated components.

    A plane that is missing is empty. ``spacing`` between neighbours is in mm.
    """
    if not planes:
        return {}
    first = min(planes)
    volume = np.zeros((max(planes) - first + 1, *next(iter(planes.values())).shape), np.bool_)
    for plane, mask in planes.items():
        volume[plane - first] = mask
    kept = without_isolated(volume, spacing)
    return {plane: kept[plane - first] for plane in planes}
