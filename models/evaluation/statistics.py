"""A mean and how sure it is: bootstrap by patient, because images of one patient are not independent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
    names, index = np.unique([patient for _, patient in known], return_inverse=True)
    mean = float(scores.mean())
    if len(names) < 2:
        return Estimate(mean, None, len(scores), len(names))
    sums = np.bincount(index, weights=scores)
    counts = np.bincount(index)
    generator = np.random.default_rng(SEED)
    drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    means = (drawn @ sums) / (drawn @ counts)
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(mean, (float(low), float(high)), len(scores), len(names))
