"""Planning a frozen study: its folder of instances, whether it may be processed, and what has to run."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from app.study.results import Run
from app.study.states import Event, RunState
from models.errors import Code
from operators.selection import Decision, PlannedRun, plan
from operators.study import Folder, read_folder
from operators.task import Task

_SHOWN = 3


@dataclass(frozen=True)
class Plan:
    """What happens to a generation, with the reason when nothing is run."""

    event: Event
    runs: tuple[Run, ...] = ()
    code: Code | None = None
    reason: str = ""


def gather(files: Mapping[str, Path], members: Iterable[str], folder: Path) -> None:
    """Make ``folder`` hold exactly the instances ``members``, as links where the file system has them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for sop_instance in members:
        target = folder / files[sop_instance].name
        try:
            os.link(files[sop_instance], target)
        except OSError:
            shutil.copyfile(files[sop_instance], target)


def plan_generation(
    folder: Path, tasks: Sequence[Task], quiet_at: datetime, max_age: timedelta | None
) -> Plan:
    """Judge the study in ``folder`` and plan its runs. Reads headers only.

    ``max_age`` is None when a person asked for the study, however old it is.
    """
    content = read_folder(folder)
    for series in content.series:
        if series.fault is not None and series.fault.code is Code.PATIENT_MIXED:
            return Plan(Event.REFUSED, (), series.fault.code, series.fault.reason)
    if max_age is not None and is_too_old(content, quiet_at, max_age):
        reason = (
            f"its StudyDate is over {max_age.total_seconds() / 86400:g} days back; retry it to process it"
        )
        return Plan(Event.OUTDATED, (), Code.STUDY_TOO_OLD, reason)
    decisions = plan(content, tasks)
    runs = tuple(_run(decision) for decision in decisions if decision.decision is not Decision.LEFT_OUT)
    if not runs:
        return Plan(Event.REFUSED, (), Code.NO_SERIES_SELECTED, _why_none(content, decisions))
    refused = [run for run in runs if run.state is RunState.REFUSED]
    if len(refused) == len(runs):
        return Plan(Event.REFUSED, runs, refused[0].code, refused[0].reason)
    return Plan(Event.PLANNED, runs)


def is_too_old(content: Folder, quiet_at: datetime, max_age: timedelta) -> bool:
    """Tell whether the study's date is further back than ``max_age``; a study without a date is not."""
    dates = [_date(series.text("StudyDate")) for series in content.series]
    known = [found for found in dates if found is not None]
    return bool(known) and quiet_at.date() - max(known) > max_age


def _date(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def _run(decision: PlannedRun) -> Run:
    instances = sorted(instance.sop_instance_uid for instance in decision.series.instances)
    digest = hashlib.sha256("\n".join(instances).encode()).hexdigest()
    # Where the task wants a note about a refusal in the archive, the graph runs, refuses and writes it.
    refused = decision.decision is Decision.REFUSED and decision.task.on_failure == "none"
    state = RunState.REFUSED if refused else RunState.PLANNED
    code = decision.code if state is RunState.REFUSED else None
    reason = decision.reason if state is RunState.REFUSED else ""
    return Run(decision.series.key, decision.task.name, digest, state, code, reason)


def _why_none(content: Folder, decisions: Sequence[PlannedRun]) -> str:
    reasons = [note.reason for note in content.damaged]
    reasons += list(dict.fromkeys(f"{decision.task.name}: {decision.reason}" for decision in decisions))
    more = f" And {len(reasons) - _SHOWN} more." if len(reasons) > _SHOWN else ""
    return "no task takes any of its series. " + " ".join(reasons[:_SHOWN]) + more
