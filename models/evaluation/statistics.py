"""A mean and how sure it is: bootstrap by patient, because images of one patient are not independent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

RESAMPLES = 5000
SEED = 20240917
"""Fixed, so that a report is reproduced to the last digit."""


@dataclass(frozen=True)
class Estimate:
    """A mean over images with its 95 % interval; ``ci95`` is None with fewer than two patients."""

    mean: float | None
    ci95: tuple[float, float] | None
    images: int
    patients: int


def estimate(values: Sequence[float | None], patients: Sequence[str]) -> Estimate:
    """Return the mean of the values that exist, and the percentile bootstrap interval by patient.

    Whole patients are drawn with replacement, with all their images; the mean over the drawn images is
    recomputed every time; the interval spans the 2.5th to the 97.5th percentile of these means.

    Parameters
    ----------
    values
        One value per image; None is left out.
    patients
        The patient of each image.

    Raises
    ------
    ValueError
        The two differ in length.
    """
    known = [(value, patient) for value, patient in zip(values, patients, strict=True) if value is not None]
    if not known:
        return Estimate(None, None, 0, 0)
    scores = np.array([value for value, _ in known])
    sums = np.stack((scores, np.ones_like(scores)), 1)
    found = pooled(sums, [patient for _, patient in known], lambda total: total[..., 0] / total[..., 1])
    return replace(found, mean=float(scores.mean()))


def pooled(
    sums: npt.NDArray[np.float64],
    patients: Sequence[str],
    statistic: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
) -> Estimate:
    """Return a statistic of all images together, and its percentile bootstrap interval by patient.

    Parameters
    ----------
    sums
        (images, K): what each image adds to the sums that the statistic is made of; at least one image.
    patients
        The patient of each image.
    statistic
        Maps sums (..., K) over images to values (...).
    """
    names, index = np.unique(patients, return_inverse=True)
    value = float(statistic(sums.sum(0)))
    if len(names) < 2:
        return Estimate(value, None, len(sums), len(names))
    of_patient = np.stack([np.bincount(index, weights=column) for column in sums.T], 1)
    generator = np.random.default_rng(SEED)
    drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    low, high = np.percentile(statistic(drawn.astype(np.float64) @ of_patient), [2.5, 97.5])
    return Estimate(value, (float(low), float(high)), len(sums), len(names))
