"""``textseg explain``: which rule takes which series of a study, and why the others are left."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app.config import Config
from operators.selection import BEST_ORDER, PlannedRun, plan
from operators.study import Folder, read_folder


def explain(study_folder: Path, config: Config, as_json: bool = False) -> None:
    """Print the decision about every series under every task, and about every file that is no series.

    Raises
    ------
    InputError
        INPUT_EMPTY when there is no file.
    """
    folder = read_folder(study_folder)
    runs = plan(folder, config.tasks)
    console = Console()
    if as_json:
        console.print_json(json.dumps(_content(folder, runs)))
        return
    table = Table(title="Which rule takes which series")
    for heading in ("task", "series", "images", "decision", "why"):
        table.add_column(heading, overflow="fold")
    for run in runs:
        series = run.series
        name = f"{series.modality} {series.text('SeriesNumber')} ...{run.series_instance_uid[-12:]}"
        why = f"{run.code}: {run.reason}" if run.code else run.reason
        table.add_row(run.task.name, name, str(series.images), run.decision.value, why)
    console.print(table)
    for note in (*folder.damaged, *folder.ignored):
        console.print(f"{note.path.name}: {note.code}: {note.reason}", markup=False)
    console.print(f"One series per study unless the task says `all: true`. The best one: {BEST_ORDER}.")


def _content(folder: Folder, runs: tuple[PlannedRun, ...]) -> dict[str, object]:
    return {
        "runs": [
            {
                "task": run.task.name,
                "series_instance_uid": run.series_instance_uid,
                "modality": run.series.modality,
                "images": run.series.images,
                "decision": run.decision.value,
                "code": run.code,
                "reason": run.reason,
            }
            for run in runs
        ],
        "files": [
            {"file": note.path.name, "code": note.code, "reason": note.reason}
            for note in (*folder.damaged, *folder.ignored)
        ],
        "best": BEST_ORDER,
    }
