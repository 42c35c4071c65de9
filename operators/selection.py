"""Which series each task takes, and why the others are left: rules first, then the gate, then the best one.

Everything here reads headers only and imports no models, so that ``explain`` and the service can plan a
study in a moment.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from models.errors import Code, InputError
from operators.gate import volumes
from operators.rules import mismatches
from operators.slices import is_volumetric, slices_of
from operators.study import Folder, Series, read_folder
from operators.task import Criterion, Task

_FIRST, _LAST = ("passes the gate", "is a volume"), ("lowest UID",)


def best_order(task: Task) -> str:
    """Return in words how the best of several matching series is chosen, as ``explain`` tells it."""
    return ", ".join([*_FIRST, *(criterion.replace("-", " ") for criterion in task.when.best), *_LAST])


class Decision(StrEnum):
    """What happens to a series under a task."""

    RUN = "run"
    REFUSED = "refused"
    LEFT_OUT = "left-out"


@dataclass(frozen=True)
class PlannedRun:
    """The decision about one series, or one phase of it, under one task, with the reason in a sentence."""

    series: Series = field(repr=False)
    task: Task = field(repr=False)
    decision: Decision
    code: Code | None
    reason: str

    @property
    def series_instance_uid(self) -> str:
        """Series Instance UID."""
        return self.series.series_instance_uid


def plan_study(input_folder: Path, tasks: Sequence[Task]) -> tuple[PlannedRun, ...]:
    """Read a folder and plan it; see :func:`plan`.

    Raises
    ------
    InputError
        INPUT_EMPTY when the folder holds no file.
    """
    return plan(read_folder(input_folder), tasks)


def plan(folder: Folder, tasks: Sequence[Task]) -> tuple[PlannedRun, ...]:
    """Decide about every series of ``folder`` under every task, in the order of tasks, then of UIDs.

    A series of several phases has one decision for each, in their order.
    """
    runs: list[PlannedRun] = []
    for task in tasks:
        studies = sorted({series.study_instance_uid for series in folder.series})
        for study in studies:
            members = [series for series in folder.series if series.study_instance_uid == study]
            runs.extend(_plan_task(members, task))
    return tuple(runs)


def _plan_task(members: Sequence[Series], task: Task) -> list[PlannedRun]:
    by_series = [_judge(series, task) for series in members]
    matching = [runs for runs in by_series if runs[0].decision is not Decision.LEFT_OUT]
    if not task.all and len(matching) > 1:
        best = min(matching, key=_rank)
        by_series = [
            runs if runs is best or runs not in matching else [_outranked(run, best[0]) for run in runs]
            for runs in by_series
        ]
    return [run for runs in by_series for run in runs]


def _judge(series: Series, task: Task) -> list[PlannedRun]:
    """Decide about one series as if it were the only one; several decisions where it has several phases."""
    if series.excluded is not None:
        return [PlannedRun(series, task, Decision.LEFT_OUT, series.excluded.code, series.excluded.reason)]
    # A series none of whose files could be read cannot be matched; it is refused for what is wrong with it.
    unmet = mismatches(task.when, series) if series.instances else ()
    if unmet:
        return [PlannedRun(series, task, Decision.LEFT_OUT, Code.NO_SERIES_SELECTED, " ".join(unmet))]
    try:
        parts = volumes(series)
    except InputError as error:
        return [PlannedRun(series, task, Decision.REFUSED, error.code, error.message)]
    taken = [_accepted(part, task) for part in parts[: task.max_results_per_study]]
    return taken + [_beyond(part, task) for part in parts[task.max_results_per_study :]]


def _accepted(part: Series, task: Task) -> PlannedRun:
    reason = "The rule matches and the series passes the gate."
    if part.phase is not None:
        reason = f"The rule matches; {part.phase.label} is one of the series' phases and passes the gate."
    return PlannedRun(part, task, Decision.RUN, None, reason)


def _beyond(part: Series, task: Task) -> PlannedRun:
    limit = task.max_results_per_study
    reason = f"The series has more than {limit} phases (max_results_per_study); the first {limit} are taken."
    return PlannedRun(part, task, Decision.LEFT_OUT, Code.NO_SERIES_SELECTED, reason)


def _outranked(run: PlannedRun, best: PlannedRun) -> PlannedRun:
    reason = f"Series {best.series_instance_uid} is taken instead (one per study: {best_order(run.task)})."
    if run.decision is Decision.REFUSED:
        reason = f"{run.reason} {reason}"
    return replace(run, decision=Decision.LEFT_OUT, code=run.code or Code.NO_SERIES_SELECTED, reason=reason)


def _rank(runs: Sequence[PlannedRun]) -> tuple[object, ...]:
    """Return the sort key of :func:`best_order` for one series; the smallest is the best."""
    first, series = runs[0], runs[0].series
    picture = not series.instances or not is_volumetric(series.instances[0])
    wanted = [_CRITERIA[criterion](series) for criterion in first.task.when.best]
    return (first.decision is not Decision.RUN, picture, *wanted, series.series_instance_uid)


def _thickness(series: Series) -> float:
    """Return SliceThickness in mm; unknown is thicker than everything."""
    thickness = slices_of(series.instances[0])[0].thickness if series.instances else None
    return math.inf if thickness is None else thickness


def _matrix(series: Series) -> int:
    return series.instances[0].rows * series.instances[0].columns if series.instances else 0


def _number(series: Series) -> float | None:
    number = series.text("SeriesNumber")
    return float(number) if re.fullmatch(r"-?\d+", number) else None


def _ascending(series: Series) -> float:
    number = _number(series)
    return math.inf if number is None else number


def _descending(series: Series) -> float:
    number = _number(series)
    return math.inf if number is None else -number


_CRITERIA: Mapping[Criterion, Callable[[Series], float]] = {
    "most-images": lambda series: -series.images,
    "fewest-images": lambda series: series.images,
    "thinnest-slices": _thickness,
    "largest-matrix": lambda series: -_matrix(series),
    "lowest-series-number": _ascending,
    "highest-series-number": _descending,
}
"""Each returns less for a better series."""
