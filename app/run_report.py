"""What ``textseg run`` says of every series and file: report.json for programs, a table for people."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from models.errors import Code, InputError
from operators.selection import Decision, PlannedRun
from operators.study import FileNote, Folder
from operators.task import Task

if TYPE_CHECKING:
    from app.application import TaskOutcome

SCHEMA_VERSION = 1
DONE, NOTHING_USABLE, SOME_REFUSED = 0, 1, 3

Entry = dict[str, object]
"""One selected series under one task, as report.json lists it."""


@dataclass(frozen=True)
class Report:
    """The outcome of one run; ``entries`` are the selected series, ``left_out`` the others."""

    software_version: str
    bundle: str
    tasks: tuple[Task, ...]
    input_path: Path
    folder: Folder
    entries: tuple[Entry, ...] = ()
    left_out: tuple[PlannedRun, ...] = ()
    error: InputError | None = None

    @property
    def problem(self) -> InputError | None:
        """Why there is no entry at all, or None."""
        if self.error is not None or self.entries:
            return self.error
        for note in (*self.folder.damaged, *self.folder.ignored):
            if note in self.folder.damaged or not self.folder.series:
                return InputError(note.code, note.reason)
        message = "No series of the input matches a task; `textseg explain` says why for each of them."
        return InputError(Code.NO_SERIES_SELECTED, message)

    @property
    def exit_code(self) -> int:
        """0 every selected series was done, 3 some were refused, 1 nothing usable.

        A damaged DICOM file that does not say which series it is of counts as refused: some series may be
        incomplete without it. Files that are not DICOM count for nothing.
        """
        statuses = {entry["status"] for entry in self.entries}
        if not statuses - {"refused"}:
            return NOTHING_USABLE
        return SOME_REFUSED if "refused" in statuses or self.folder.damaged else DONE

    def write(self, output: Path) -> None:
        """Write report.json into the folder ``output``."""
        problem = self.problem
        content = {
            "schema_version": SCHEMA_VERSION,
            "software_version": self.software_version,
            "bundle": self.bundle,
            "tasks": {task.name: [list(target.prompts) for target in task.targets] for task in self.tasks},
            "exit_code": self.exit_code,
            "error": None if problem is None else {"code": problem.code, "reason": problem.message},
            "series": list(self.entries),
            "left_out": [planned_entry(run) for run in self.left_out],
            "files": [
                *(self._file(note, "refused") for note in self.folder.damaged),
                *(self._file(note, "ignored") for note in self.folder.ignored),
            ],
        }
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (output / "report.json").write_text(text + "\n", encoding="utf-8")

    def show(self, console: Console) -> None:
        """Print a table of the series, and what is wrong with files."""
        for note in self.folder.damaged:
            console.print(f"refused {note.path.name}: {note.code}: {note.reason}", markup=False)
        if self.problem is not None:
            console.print(f"textseg: {self.problem}", markup=False)
            return
        table = Table(title="textseg run - research use, not for diagnosis")
        for heading in ("series", "task", "status", "code", "size", "uncertainty", "seconds", "files"):
            table.add_column(heading, overflow="fold")
        for entry in self.entries:
            table.add_row(*_row(entry))
        console.print(table)
        for entry in self.entries:
            if entry["status"] == "refused":
                reason = f"{entry['series_instance_uid']}: {entry['code']}: {entry['reason']}"
                console.print(reason, markup=False)
            elif entry["status"] == "found" and entry["reason"]:
                console.print(f"{entry['series_instance_uid']}: {entry['reason']}", markup=False)

    def _file(self, note: FileNote, status: str) -> Entry:
        root = self.input_path.parent if self.input_path.is_file() else self.input_path
        return {
            "file": str(note.path.relative_to(root)),
            "status": status,
            "code": note.code,
            "reason": note.reason,
        }


def planned_entry(run: PlannedRun) -> Entry:
    """Return the entry of a series that does not go through the graph."""
    return {
        "series_instance_uid": run.series_instance_uid,
        "study_instance_uid": run.series.study_instance_uid,
        "phase": run.series.phase.label if run.series.phase is not None else None,
        "modality": run.series.modality,
        "task": run.task.name,
        "status": "refused" if run.decision is Decision.REFUSED else run.decision.value,
        "code": run.code,
        "reason": run.reason,
        "files": [],
        "seconds": {},
    }


def outcome_entry(run: PlannedRun, outcome: "TaskOutcome", output: Path) -> Entry:
    """Return the entry of a series that went through the graph; files relative to ``output``."""
    return {
        **planned_entry(run),
        "status": outcome.status,
        "code": outcome.code,
        "reason": outcome.reason,
        "files": [str(file.relative_to(output)) for file in outcome.files],
        "seconds": {stage: round(seconds, 3) for stage, seconds in outcome.seconds.items()},
        "sop_instance_uids": list(outcome.sop_instance_uids),
        "images": run.series.images,
        "images_found": outcome.images_found,
        "images_without_result": list(outcome.unwritten),
        "volume_ml": outcome.volume_ml,
        "area_mm2": outcome.area_mm2,
        "area_px": outcome.area_px,
        "uncertainty": outcome.uncertainty,
    }


def _row(entry: Entry) -> Sequence[str]:
    seconds, files, uncertainty = entry["seconds"], entry["files"], entry.get("uncertainty")
    phase = f" {entry['phase']}" if entry["phase"] else ""
    return (
        f"{entry['modality']} ...{str(entry['series_instance_uid'])[-12:]}{phase}",
        str(entry["task"]),
        str(entry["status"]),
        str(entry["code"] or ""),
        _size(entry),
        f"{uncertainty:.2f} bits" if isinstance(uncertainty, float) else "",
        f"{sum(seconds.values()):.1f}" if isinstance(seconds, dict) and seconds else "",
        str(len(files)) if isinstance(files, list) else "",
    )


def _size(entry: Entry) -> str:
    for key, unit, digits in (("volume_ml", "ml", 1), ("area_mm2", "mm2", 0), ("area_px", "px", 0)):
        found = entry.get(key)
        if isinstance(found, int | float):
            return f"{found:.{digits}f} {unit}"
    return ""
