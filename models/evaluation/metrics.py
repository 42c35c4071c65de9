"""How well a mask and a soft map agree with the truth: DSC, IoU, NSD of contours and surfaces, pixel AUC."""

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Mask = npt.NDArray[np.bool_]
"""(H, W) bool on the grid of the image."""

Volume = npt.NDArray[np.bool_]
"""(D, H, W) bool, slices first."""

Map = npt.NDArray[np.float32]
"""(H, W) float32 on the grid of the image."""

TOLERANCE_PX = 2.0
"""MedCLIP-SAMv2 accepts a contour 2 pixels off; not a physical distance, images have no common spacing."""


@dataclass(frozen=True)
class Scores:
    """The metrics of one image; None where the metric has no meaning (see :func:`score`)."""

    dsc: float | None
    nsd: float | None
    iou: float | None
    auc: float | None
    foreground_fraction: float


def dice(a: Mask, b: Mask) -> float | None:
    """Return 2 |A and B| / (|A| + |B|) in [0, 1]; None when both are empty.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    _same_grid(a, b)
    total = int(a.sum()) + int(b.sum())
    return 2.0 * int((a & b).sum()) / total if total else None


def intersection_over_union(a: Mask, b: Mask) -> float | None:
    """Return |A and B| / |A or B| in [0, 1]; None when both are empty.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    _same_grid(a, b)
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else None


def surface_dice(
    a: Mask, b: Mask, tolerance: float = TOLERANCE_PX, spacing: tuple[float, float] = (1.0, 1.0)
) -> float | None:
    """Return the share of both contours' length that lies within ``tolerance`` of the other contour.

    The contour is the 2-D curve between the pixels' centres (surface-distance by DeepMind in two dimensions,
    as MONAI implements it), not the surface of a slab one voxel thick, on which the papers' figures rest.

    Parameters
    ----------
    a, b
        (H, W) masks.
    tolerance
        In the unit of ``spacing``: pixels, when that is left at 1.
    spacing
        Distance between rows and between columns.

    Returns
    -------
    float or None
        In [0, 1]; 0 when one mask is empty, None when both are.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    _same_grid(a, b)
    return _near_surface(a, b, tolerance, spacing)


def volume_surface_dice(
    a: Volume, b: Volume, tolerance: float, spacing: tuple[float, float, float]
) -> float | None:
    """Return the share of both surfaces' area that lies within ``tolerance`` of the other surface.

    Parameters
    ----------
    a, b
        (D, H, W) masks of whole volumes.
    tolerance
        In the unit of ``spacing``, millimetres as a rule.
    spacing
        Distance between slices, rows and columns.

    Returns
    -------
    float or None
        In [0, 1]; 0 when one mask is empty, None when both are.

    Raises
    ------
    ValueError
        The two are not on one 3-D grid.
    """
    _same_grid(a, b, 3)
    return _near_surface(a, b, tolerance, spacing)


def surface_dice_of_slab(a: Mask, b: Mask, tolerance: float = TOLERANCE_PX) -> float | None:
    """Return what MedCLIP-SAMv2 publishes as NSD: the surface agreement of slabs one voxel thick.

    Top and bottom of a slab are surface, so that every pixel inside both masks counts as a match: the figure
    follows the DSC and says little about the contour. Only for comparison with the papers' tables.

    Parameters
    ----------
    a, b
        (H, W) masks.
    tolerance
        In pixels.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    _same_grid(a, b)
    return _near_surface(a[..., None], b[..., None], tolerance, (1.0, 1.0, 1.0))


def _near_surface(
    a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_], tolerance: float, spacing: tuple[float, ...]
) -> float | None:
    if not a.any() and not b.any():
        return None
    if not a.any() or not b.any():
        return 0.0
    import torch

    with warnings.catch_warnings():
        # MONAI's import brings holoscan, which warns of its stack, and MONAI warns of its own deprecations
        warnings.simplefilter("ignore")
        from monai.metrics.surface_dice import compute_surface_dice

        nsd = compute_surface_dice(
            torch.from_numpy(np.ascontiguousarray(a[None, None])),
            torch.from_numpy(np.ascontiguousarray(b[None, None])),
            class_thresholds=[tolerance],
            include_background=True,
            spacing=list(spacing),
            use_subvoxels=True,
        )
    return float(nsd[0, 0])


def pixel_auc(truth: Mask, soft: Map) -> float | None:
    """Return the probability that a target pixel outranks another pixel in ``soft``, ties counting one half.

    This is the area under the ROC curve by Mann and Whitney's rank formula. None when the truth is all or
    nothing. A constant map gives 0.5.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    _same_grid(truth, soft)
    inside = int(truth.sum())
    outside = truth.size - inside
    if not inside or not outside:
        return None
    ranks = rankdata(soft, axis=None).reshape(truth.shape)
    return float((ranks[truth].sum() - inside * (inside + 1) / 2) / (inside * outside))


def score(truth: Mask, mask: Mask, soft: Map, tolerance: float = TOLERANCE_PX) -> Scores:
    """Return the metrics of one image by the contract of the report.

    DSC, NSD and IoU are 0 when the truth is not empty and ``mask`` is, and None exactly when the truth is
    empty: whether something was found there nevertheless is what ``foreground_fraction`` says.
    """
    fraction = float(mask.mean())
    if not truth.any():
        return Scores(None, None, None, None, fraction)
    return Scores(
        dsc=dice(truth, mask),
        nsd=surface_dice(truth, mask, tolerance),
        iou=intersection_over_union(truth, mask),
        auc=pixel_auc(truth, soft),
        foreground_fraction=fraction,
    )


def _same_grid(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic], dimensions: int = 2) -> None:
    if a.shape != b.shape or a.ndim != dimensions:
        raise ValueError(f"expected two arrays on one {dimensions}-D grid, got {a.shape} and {b.shape}")
