"""Which series each task takes, and why the others are left: rules first, then the gate, then the best one.

Everything here reads headers only and imports no models, so that ``explain`` and the service can plan a
study in a moment.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from models.errors import Code, InputError
from operators.gate import gate
from operators.slices import is_volumetric
from operators.study import Folder, Series, read_folder
from operators.task import SeriesRule, Task

BEST_ORDER = "passes the gate, is a volume, most images, largest matrix, lowest SeriesNumber, lowest UID"
"""How the best of several matching series is chosen, as ``explain`` tells it."""


class Decision(StrEnum):
    """What happens to a series under a task."""

    RUN = "run"
    REFUSED = "refused"
    LEFT_OUT = "left-out"


@dataclass(frozen=True)
class PlannedRun:
    """The decision about one series under one task, with the reason in a sentence."""

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
    """Decide about every series of ``folder`` under every task, in the order of tasks, then of UIDs."""
    runs: list[PlannedRun] = []
    for task in tasks:
        studies = sorted({series.study_instance_uid for series in folder.series})
        for study in studies:
            members = [series for series in folder.series if series.study_instance_uid == study]
            runs.extend(_plan_task(members, task))
    return tuple(runs)


def _plan_task(members: Sequence[Series], task: Task) -> list[PlannedRun]:
    runs = [_judge(series, task) for series in members]
    if task.all:
        return runs
    matching = sorted((run for run in runs if run.decision is not Decision.LEFT_OUT), key=_rank)
    if len(matching) < 2:
        return runs
    best = matching[0]
    return [run if run is best or run not in matching else _outranked(run, best) for run in runs]


def _judge(series: Series, task: Task) -> PlannedRun:
    if series.excluded is not None:
        return PlannedRun(series, task, Decision.LEFT_OUT, series.excluded.code, series.excluded.reason)
    # A series none of whose files could be read cannot be matched; it is refused for what is wrong with it.
    mismatch = mismatch_of(task.when, series) if series.instances else None
    if mismatch is not None:
        return PlannedRun(series, task, Decision.LEFT_OUT, Code.NO_SERIES_SELECTED, mismatch)
    try:
        gate(series)
    except InputError as error:
        return PlannedRun(series, task, Decision.REFUSED, error.code, error.message)
    return PlannedRun(series, task, Decision.RUN, None, "The rule matches and the series passes the gate.")


def _outranked(run: PlannedRun, best: PlannedRun) -> PlannedRun:
    reason = f"Series {best.series_instance_uid} is taken instead (one per study: {BEST_ORDER})."
    if run.decision is Decision.REFUSED:
        reason = f"{run.reason} {reason}"
    code = run.code or Code.NO_SERIES_SELECTED
    return PlannedRun(run.series, run.task, Decision.LEFT_OUT, code, reason)


def _rank(run: PlannedRun) -> tuple[bool, bool, int, int, float, str]:
    """Return the sort key of :data:`BEST_ORDER`; the smallest is the best."""
    series = run.series
    first = series.instances[0] if series.instances else None
    number = series.text("SeriesNumber")
    return (
        run.decision is not Decision.RUN,
        first is None or not is_volumetric(first),
        -series.images,
        -(first.rows * first.columns if first is not None else 0),
        float(number) if re.fullmatch(r"-?\d+", number) else float("inf"),
        series.series_instance_uid,
    )


def mismatch_of(rule: SeriesRule, series: Series) -> str | None:
    """Return the first condition of ``rule`` that ``series`` does not meet, in a sentence, or None.

    Values of the header are not repeated in the sentence: descriptions can hold names.
    """
    if rule.modality is not None and series.modality not in {name.upper() for name in rule.modality}:
        return f"Modality {series.modality or '(none)'} is not {' or '.join(rule.modality)}."
    for keyword, pattern in _patterns(rule):
        if re.search(pattern, series.text(keyword), re.IGNORECASE) is None:
            return f"{keyword} does not match {pattern!r}."
    unwanted = rule.not_series_description
    if unwanted is not None and re.search(unwanted, series.text("SeriesDescription"), re.IGNORECASE):
        return f"SeriesDescription matches {unwanted!r}, which the rule keeps out."
    if rule.images is not None:
        low, high = rule.images.min or 0, rule.images.max or float("inf")
        if not low <= series.images <= high:
            return f"{series.images} images are not between {low:g} and {high:g}."
    return None


def _patterns(rule: SeriesRule) -> list[tuple[str, str]]:
    conditions = {
        "BodyPartExamined": rule.body_part_examined,
        "SeriesDescription": rule.series_description,
        "StudyDescription": rule.study_description,
        "ProtocolName": rule.protocol_name,
    }
    return [(keyword, pattern) for keyword, pattern in conditions.items() if pattern is not None]
