"""Whether probabilities can be trusted: reliability, calibration error, error retention, temperature.

Nearly all of a medical image is background that nobody doubts. Over all pixels every method is well
calibrated, so that pixels are judged in a region: the box around what is the target or was taken for it,
widened (as Mehrtash et al. 2020 do, doi 10.1109/TMI.2020.3006437). An image with neither has no region and is
left out. Every image weighs the same, whatever its size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.errors import Code, DatasetError
from models.evaluation.metrics import Map, Mask
from models.evaluation.statistics import Estimate, estimate, pooled
from models.masks.components import widen
from models.segmenters.prompts import tight_box
from models.uncertainty import THRESHOLD, entropy, logits

BINS = 15
"""Of equal width over [0, 1], as Guo et al. 2017 have them."""

WIDENED = 0.25
"""Of a box's side, added on each side: of a box that the target fills, a bit less than half is background."""

FRACTIONS = tuple(float(fraction) for fraction in np.linspace(0.0, 1.0, 51))
"""Where error-retention curves are kept: shares of the pixels whose prediction is retained."""

TEMPERATURES = (0.05, 20.0)
"""Between these a temperature is sought."""

Region = tuple[slice, slice]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """One image's part, each number a share of the region's pixels.

    Attributes
    ----------
    share, probability, target
        Per bin of the probability: the pixels, the sum of their probabilities, those that are the target.
    errors
        The error-retention curve at :data:`FRACTIONS`.
    area
        The area under it.
    """

    share: tuple[float, ...]
    probability: tuple[float, ...]
    target: tuple[float, ...]
    errors: tuple[float, ...]
    area: float

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """Return what was stored as plain values."""
        lists = {name: tuple(value) for name, value in stored.items() if name != "area"}
        return cls(**lists, area=stored["area"])


@dataclass(frozen=True)
class Bin:
    """A point of the reliability diagram: the bin that begins at the probability ``low``, not empty.

    ``share`` of the pixels, their mean ``probability`` and the ``frequency`` of the target among them.
    """

    low: float
    share: float
    probability: float
    frequency: float


def region(truth: Mask, mask: Mask) -> Region | None:
    """Return the rows and columns in which (H, W) masks are judged; None where both are empty."""
    either = truth | mask
    if not either.any():
        return None
    x0, y0, x1, y1 = widen(tight_box(either), WIDENED, (0.0, 0.0), (truth.shape[0], truth.shape[1]))
    return slice(int(y0), int(np.ceil(y1))), slice(int(x0), int(np.ceil(x1)))


def calibration(truth: Mask, mask: Mask, probability: Map) -> Calibration | None:
    """Judge the probability of each pixel of one image.

    Parameters
    ----------
    truth, mask
        (H, W): the target and what was taken for it.
    probability
        (H, W) float32 of the target.

    Returns
    -------
    Calibration or None
        None where there is neither target nor mask.
    """
    where = region(truth, mask)
    if where is None:
        return None
    p, is_target = probability[where].ravel().astype(np.float64), truth[where].ravel()
    which = np.minimum((p * BINS).astype(np.intp), BINS - 1)
    share, sure, target = (
        np.bincount(which, weights, BINS) / p.size for weights in (np.ones_like(p), p, is_target)
    )
    errors, area = error_retention(is_target != mask[where].ravel(), entropy(p))
    return Calibration(_floats(share), _floats(sure), _floats(target), _floats(errors), area)


def _floats(values: Values) -> tuple[float, ...]:
    return tuple(values.tolist())


def error_retention(
    wrong: npt.NDArray[np.bool_], uncertainty: npt.NDArray[np.floating]
) -> tuple[Values, float]:
    """Return the error-retention curve of pixels and its area (Malinin et al. 2021, arXiv 2107.07455).

    The predictions that are least unsure are retained, the others replaced by the truth; the curve is the
    share of all pixels that is still wrong. Its end is the error rate. Pixels that are equally unsure are
    retained in no order: the curve is straight over them.

    Parameters
    ----------
    wrong
        (N,) whether a pixel's prediction is wrong, N at least 1.
    uncertainty
        (N,).

    Returns
    -------
    tuple
        The curve at :data:`FRACTIONS`, and the area: half of the error rate where the uncertainty knows
        nothing, half of its square where what is wrong comes last.
    """
    order = np.argsort(uncertainty, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(uncertainty[order])), len(order) - 1) + 1
    retained = np.concatenate(([0.0], ends / len(order)))
    errors = np.concatenate(([0.0], np.cumsum(wrong[order], dtype=np.float64)[ends - 1] / len(order)))
    return np.interp(FRACTIONS, retained, errors), float(np.trapezoid(errors, retained))


def reliability(images: Sequence[Calibration]) -> tuple[Bin, ...]:
    """Pool images to the points of one reliability diagram, by rising probability. At least one image."""
    share, probability, target = (sums.mean(0) for sums in _sums(images))
    return tuple(
        Bin(
            index / BINS,
            float(share[index]),
            float(probability[index] / share[index]),
            float(target[index] / share[index]),
        )
        for index in np.flatnonzero(share)
    )


def expected_calibration_error(images: Sequence[Calibration | None], patients: Sequence[str]) -> Estimate:
    """Return the ECE of all images together, with its bootstrap interval by patient.

    The mean over pixels of |mean probability - frequency of the target| of a pixel's bin. The probability is
    the target's, not the likelier class's: too high and too low do not cancel. None is left out.
    """
    known = [(image, patient) for image, patient in zip(images, patients, strict=True) if image is not None]
    if not known:
        return Estimate(None, None, 0, 0)
    share, probability, target = _sums([image for image, _ in known])
    gaps = np.concatenate((probability - target, share.sum(1, keepdims=True)), 1)
    return pooled(gaps, [patient for _, patient in known], _mean_gap)


def _mean_gap(sums: Values) -> Values:
    gap: Values = np.abs(sums[..., :-1]).sum(-1) / sums[..., -1]
    return gap


def retention(images: Sequence[Calibration]) -> Values:
    """Return the mean error-retention curve at :data:`FRACTIONS`. At least one image."""
    curve: Values = np.mean([image.errors for image in images], 0)
    return curve


def retention_area(images: Sequence[Calibration | None], patients: Sequence[str]) -> Estimate:
    """Return the mean area under the error-retention curve, with its interval by patient."""
    return estimate([None if image is None else image.area for image in images], patients)


def fit_temperature(images: Sequence[tuple[Map, Mask]]) -> float:
    """Return the temperature at which probabilities are most likely what labels say.

    The minimum of the mean negative log-likelihood (Guo et al. 2017, arXiv 1706.04599) in the images'
    regions, every image weighing the same. Labels must be of images that trained nothing.

    Parameters
    ----------
    images
        Probability (H, W) and label (H, W) of each.

    Raises
    ------
    DatasetError
        DATASET-INVALID: no image has a region.
    """
    from scipy.optimize import minimize_scalar

    judged = [
        (logits(probability[where]), label[where])
        for probability, label in images
        if (where := region(label, probability > THRESHOLD)) is not None
    ]
    if not judged:
        raise DatasetError(
            Code.DATASET_INVALID,
            f"no temperature can be fitted: on none of {len(images)} images a target is labelled or found; "
            "hold images back that show it",
        )

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        return float(np.mean([_log_loss(scale * values, label) for values, label in judged]))

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def _log_loss(logit: Values, label: Mask) -> float:
    return float(np.mean(np.logaddexp(0.0, logit) - logit * label))


def _sums(images: Sequence[Calibration]) -> tuple[Values, Values, Values]:
    """Return share, probability and target of all images, each (images, BINS)."""
    rows = np.array([(image.share, image.probability, image.target) for image in images], np.float64)
    return rows[:, 0], rows[:, 1], rows[:, 2]
