"""How large a segment is and how unsure: what the measurement report says of a finding.

Every length is on the grid of the source itself, in the plane of its images; nothing is resampled.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import find_objects, label
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from operators.findings import BoolArray, Findings, PlaneFinding
from operators.spacing import picture_spacing
from operators.stack import PictureStack, VolumeStack

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=np.bool_)


@dataclass(frozen=True)
class Measurements:
    """One segment of a volume or a picture.

    ``pixels`` is its number of pixels or voxels; ``volume_ml`` is known for volumes, ``area_mm2`` for
    pictures with a pixel spacing. ``diameter`` is :func:`longest_diameter`, in millimetres where ``in_mm``,
    else in pixels; ``uncertainty`` the mean entropy over the segment in bits.
    """

    pixels: int
    volume_ml: float | None
    area_mm2: float | None
    diameter: float
    in_mm: bool
    uncertainty: float


def measure_volume(stack: VolumeStack, findings: Findings, target: int) -> Measurements | None:
    """Measure what ``target`` covers in a volume; None when that is nothing."""
    planes = [plane for plane in findings.found if plane.masks[target].any()]
    if not planes:
        return None
    pixels = sum(int(plane.masks[target].sum()) for plane in planes)
    spacing = stack.grid.spacing[1:]
    return Measurements(
        pixels,
        pixels * stack.grid.voxel_ml,
        None,
        max(longest_diameter(plane.masks[target], spacing) for plane in planes),
        True,
        sum(plane.mask_entropy[target] for plane in planes) / pixels,
    )


def measure_picture(stack: PictureStack, finding: PlaneFinding, target: int) -> Measurements | None:
    """Measure what ``target`` covers in one picture; None when that is nothing."""
    mask = finding.masks[target]
    pixels = int(mask.sum())
    if pixels == 0:
        return None
    spacing = picture_spacing(stack.planes[finding.plane])
    return Measurements(
        pixels,
        None,
        pixels * spacing[0] * spacing[1] if spacing else None,
        longest_diameter(mask, spacing or (1.0, 1.0)),
        spacing is not None,
        finding.mask_entropy[target] / pixels,
    )


def longest_diameter(mask: BoolArray, spacing: tuple[float, float]) -> float:
    """Return the longest distance between two points on the outline of one connected region of a mask.

    The outline runs halfway between the centres of a pixel of the mask and its neighbour outside, as the
    surface mesh does of which radiomics takes Maximum2DDiameterSlice (van Griethuysen 2017); regions are
    8-connected, so that two lungs are not measured across the chest.

    Parameters
    ----------
    mask
        (rows, columns).
    spacing
        Distance of rows and of columns in millimetres.

    Returns
    -------
    float
        Millimetres; 0 for an empty mask.
    """
    regions, _ = label(mask, _EIGHT_NEIGHBOURS)
    longest = 0.0
    for number, box in enumerate(find_objects(regions), start=1):
        height, width = (part.stop - part.start for part in box)
        if np.hypot(height * spacing[0], width * spacing[1]) > longest:
            points = _outline(regions[box] == number) * spacing
            longest = max(longest, float(pdist(points[ConvexHull(points).vertices]).max()))
    return longest


def _outline(region: BoolArray) -> npt.NDArray[np.float64]:
    """Return the outermost points (row, column) of every row and column of a region, half a pixel out."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    height, width = region.shape
    return np.concatenate(
        [
            np.stack([rows, np.argmax(region, axis=1)[rows] - 0.5], axis=1),
            np.stack([rows, width - 0.5 - np.argmax(region[:, ::-1], axis=1)[rows]], axis=1),
            np.stack([np.argmax(region, axis=0)[columns] - 0.5, columns], axis=1),
            np.stack([height - 0.5 - np.argmax(region[::-1], axis=0)[columns], columns], axis=1),
        ]
    ).astype(np.float64)
