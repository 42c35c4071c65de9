"""``textseg explain``: for every series of a study which rule takes it, and why each other rule does not."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.config import Config
from operators.selection import PlannedRun, best_order, plan
from operators.study import Folder, Series, read_folder

_WIDTH = 160


def explain(study_folder: Path, config: Config, as_json: bool = False) -> None:
    """Print the decision about every series under every rule, and about every file that is no series.

    Raises
    ------
    InputError
        INPUT_EMPTY when there is no file.
    """
    folder = read_folder(study_folder)
    runs = plan(folder, config.tasks)
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH  # nobody's window sets a limit
    if as_json:
        console.file.write(json.dumps(_content(folder, runs, config), indent=2) + "\n")
        return
    table = Table(title="Which rule takes which series")
    for heading in ("series", "images", "rule", "decision", "why"):
        table.add_column(heading, overflow="fold")
    for series in folder.series:
        cells = (_name(series), str(series.images))
        for run, rules in _alike(_of(series, runs)):
            why = f"{run.code}: {run.reason}" if run.code else run.reason
            table.add_row(*cells, ", ".join(rules), run.decision.value, escape(why))
            cells = ("", "")
        table.add_section()
    console.print(table)
    for note in (*folder.damaged, *folder.ignored):
        console.print(f"{note.path.name}: {note.code}: {note.reason}", markup=False)
    for order in dict.fromkeys(best_order(task) for task in config.tasks if not task.all):
        names = ", ".join(task.name for task in config.tasks if not task.all and best_order(task) == order)
        console.print(f"One series per study for {names}, the best one: {order}.", markup=False)


def _alike(runs: Sequence[PlannedRun]) -> list[tuple[PlannedRun, list[str]]]:
    """Return one run of each decision and reason, with the rules that decide so: a report fits no rule."""
    groups: dict[tuple[str, str | None, str], tuple[PlannedRun, list[str]]] = {}
    for run in runs:
        _, rules = groups.setdefault((run.decision, run.code, run.reason), (run, []))
        rules.append(run.task.name)
    return list(groups.values())


def _of(series: Series, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    return [run for run in runs if run.series_instance_uid == series.series_instance_uid]


def _name(series: Series) -> str:
    return f"{series.modality} {series.text('SeriesNumber')} ...{series.series_instance_uid[-12:]}"


def _content(folder: Folder, runs: Sequence[PlannedRun], config: Config) -> dict[str, object]:
    return {
        "series": [
            {
                "series_instance_uid": series.series_instance_uid,
                "study_instance_uid": series.study_instance_uid,
                "modality": series.modality,
                "images": series.images,
                "rules": [_rule(run) for run in _of(series, runs)],
            }
            for series in folder.series
        ],
        "files": [
            {"file": note.path.name, "code": note.code, "reason": note.reason}
            for note in (*folder.damaged, *folder.ignored)
        ],
        "best": {task.name: best_order(task) for task in config.tasks if not task.all},
    }


def _rule(run: PlannedRun) -> dict[str, object]:
    return {
        "task": run.task.name,
        "phase": run.series.phase.label if run.series.phase is not None else None,
        "images": run.series.images,
        "decision": run.decision.value,
        "code": run.code,
        "reason": run.reason,
    }
