"""Are two methods different on the same images? Paired tests between reports, patient by patient.

MedCLIP-SAMv2 tests per image and corrects for nothing. Slices of one patient are not independent, so that
here the unit is the patient: the mean over a patient's images. Where every image is a patient of its own, as
in the papers, this is their test.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.errors import Code, DatasetError
from models.evaluation.statistics import Estimate, estimate

Metric = Literal["dsc", "nsd", "iou", "auc"]
Unit = Literal["patient", "image"]
ROUNDING = 1e-12
"""Differences of scores that vary by less than this, relative to their size, are equal."""

Differences = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """The tests of one set of paired differences; None where a test has no meaning (see :func:`paired`)."""

    t_test: float | None
    wilcoxon: float | None
    effect: float | None


@dataclass(frozen=True)
class Comparison:
    """One report against the baseline report on the images that both scored.

    ``value`` is the report's own mean on these images, ``difference`` the mean of report minus baseline, with
    their intervals by patient. ``tests`` holds raw p-values, ``adjusted`` the same after Holm's correction
    over all comparisons made together.
    """

    label: str
    value: Estimate
    difference: Estimate
    tests: Paired
    adjusted: Paired


def paired(differences: Sequence[float]) -> Paired:
    """Return two-sided p-values of Student's paired t-test and Wilcoxon's signed-rank test, and Cohen's d_z.

    Differences that are all zero say that nothing differs: both p-values are 1 and the effect is 0.
    Wilcoxon's test drops single zeros. Differences that are all equal and not zero have no spread: t and d_z
    are infinite, so that the t-test's p-value is 0 and the effect None. One difference or none: nothing to
    test.

    Parameters
    ----------
    differences
        One per unit.
    """
    values = np.asarray(differences, np.float64)
    if len(values) < 2:
        return Paired(None, None, None)
    if not values.any():
        return Paired(1.0, 1.0, 0.0)
    from scipy.stats import ttest_1samp, wilcoxon

    signed_rank = float(wilcoxon(values).pvalue)
    if np.ptp(values) <= ROUNDING * np.abs(values).max():
        return Paired(0.0, signed_rank, None)
    effect = float(values.mean() / values.std(ddof=1))
    return Paired(float(ttest_1samp(values, 0.0).pvalue), signed_rank, effect)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values after Holm's step-down correction, in the given order; None stays None.

    The smallest of m is multiplied by m, the next by m - 1 and so on; none is smaller than the one before it
    or larger than 1.
    """
    known = sorted((value, index) for index, value in enumerate(p_values) if value is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (value, index) in enumerate(known):
        largest = max(largest, min(1.0, value * (len(known) - rank)))
        adjusted[index] = largest
    return adjusted


def compare(
    baseline: Mapping[str, Any],
    reports: Mapping[str, Mapping[str, Any]],
    metric: Metric = "dsc",
    unit: Unit = "patient",
) -> list[Comparison]:
    """Return the comparison of every report, by its label, with the baseline report.

    Parameters
    ----------
    baseline, reports
        As ``textseg evaluate --report`` writes them.
    metric
        What is compared.
    unit
        What is independent: patients, or images as in MedCLIP-SAMv2.

    Raises
    ------
    DatasetError
        DATASET-INVALID: a report is of other images than the baseline.
    """
    found = [_against(baseline, label, report, metric, unit) for label, report in reports.items()]
    t_tests = holm([tests.t_test for *_, tests in found])
    signed_ranks = holm([tests.wilcoxon for *_, tests in found])
    return [
        Comparison(label, value, difference, tests, Paired(t_test, signed_rank, tests.effect))
        for (label, value, difference, tests), t_test, signed_rank in zip(
            found, t_tests, signed_ranks, strict=True
        )
    ]


def _against(
    baseline: Mapping[str, Any], label: str, report: Mapping[str, Any], metric: Metric, unit: Unit
) -> tuple[str, Estimate, Estimate, Paired]:
    before = {row["name"]: row[metric] for row in baseline["images"]}
    after = {row["name"]: row[metric] for row in report["images"]}
    if set(before) != set(after):
        odd = sorted(set(before) ^ set(after))
        raise DatasetError(
            Code.DATASET_INVALID,
            f"{label}: not the images of the baseline report; {len(odd)} differ, the first is {odd[0]}; "
            "evaluate both on the same data set",
        )
    names = [name for name in before if before[name] is not None and after[name] is not None]
    patients = [baseline["patients"][name] for name in names]
    differences = [after[name] - before[name] for name in names]
    units = differences if unit == "image" else by_patient(differences, patients)
    return (
        label,
        estimate([after[name] for name in names], patients),
        estimate(differences, patients),
        paired(units),
    )


def by_patient(values: Sequence[float], patients: Sequence[str]) -> list[float]:
    """Return the mean of each patient's values, in the order of the patients' names."""
    _, index = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    if not len(index):
        return []
    means: Differences = np.bincount(index, weights=np.asarray(values)) / np.bincount(index)
    return [float(mean) for mean in means]


def read_report(path: Path) -> dict[str, Any]:
    """Return the report that ``textseg evaluate --report`` wrote. DatasetError (DATASET-INVALID)."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(Code.DATASET_INVALID, f"{path}: not a report ({error})") from error
    if not isinstance(report, dict) or not {"images", "patients", "schema_version"} <= set(report):
        raise DatasetError(
            Code.DATASET_INVALID,
            f"{path}: no report of textseg evaluate with images and patients; write it anew",
        )
    return report
