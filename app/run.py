"""``textseg run``: the graph once over a folder, in one process, without the service."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from app.config import Config
from app.progress import counted
from app.run_report import Entry, Report, outcome_entry, planned_entry
from app.stack_limit import raise_stack_limit
from models.errors import Code, ConfigError, InputError
from operators.selection import Decision, PlannedRun, plan
from operators.study import Folder, read_folder
from operators.task import Task, prompt_task

if TYPE_CHECKING:
    from app.application import RunContext

Advance = Callable[[PlannedRun], Callable[[int, int], None]]


def run(input_path: Path, output: Path, task: str | None, prompt: str | None, config: Config) -> int:
    """Segment a folder (or a file) and write results and report.json to ``output``.

    Returns
    -------
    int
        0 every selected series was done; 3 some were refused, others done; 1 nothing usable.

    Raises
    ------
    ConfigError, PromptError
        When the command line or the configuration asks for something impossible.
    ModelError
        When the bundle cannot be loaded.
    """
    tasks = _tasks(task, prompt, config)
    if not input_path.exists():
        raise ConfigError(Code.USAGE, f"{input_path} does not exist; give a folder of DICOM files.")
    output.mkdir(parents=True, exist_ok=True)
    report = Report(config.application.version, config.models.bundle, tasks, input_path, Folder((), (), ()))
    console = Console(stderr=True)
    try:
        folder = read_folder(input_path)
    except InputError as error:
        report = replace(report, error=error)
    else:
        planned = plan(folder, tasks)
        selected = [run for run in planned if run.decision is not Decision.LEFT_OUT]
        left_out = tuple(run for run in planned if run.decision is Decision.LEFT_OUT)
        entries = _process(input_path, output, selected, config, console)
        report = replace(report, folder=folder, entries=entries, left_out=left_out)
    report.write(output)
    report.show(console)
    return report.exit_code


def _tasks(name: str | None, prompt: str | None, config: Config) -> tuple[Task, ...]:
    if prompt is not None:
        if name is not None:
            raise ConfigError(Code.USAGE, "--task and --prompt exclude each other: give one of them.")
        return (prompt_task(prompt),)
    if name is None:
        return tuple(config.tasks)
    chosen = tuple(task for task in config.tasks if task.name == name)
    if not chosen:
        known = ", ".join(task.name for task in config.tasks)
        raise ConfigError(Code.USAGE, f"No task {name!r} in the configuration; there are: {known}.")
    return chosen


def _process(
    input_path: Path, output: Path, selected: Sequence[PlannedRun], config: Config, console: Console
) -> tuple[Entry, ...]:
    """Run what the plan runs, in its order; load the models only if there is anything to run."""
    if not any(_needs_graph(run) for run in selected):
        return tuple(planned_entry(run) for run in selected)
    raise_stack_limit()
    from app.application import run_task

    context = _context(selected, config)
    entries: list[Entry] = []
    pictures: dict[tuple[str, str], int] = {}
    with _progress(console) as advance:
        for run in selected:
            if not _needs_graph(run):
                entries.append(planned_entry(run))
                continue
            study = (run.series.study_instance_uid, run.task.name)
            here = replace(
                context,
                results=pictures.get(study, 0),
                answered=study in pictures,
                progress=advance(run),
            )
            outcome = run_task(input_path, output, run.series.key, run.task, here)
            if outcome.pictures is not None:
                pictures[study] = here.results + outcome.pictures
            entries.append(outcome_entry(run, outcome, output))
    return tuple(entries)


def _needs_graph(run: PlannedRun) -> bool:
    """Tell whether a run goes through the graph: planned, or its refusal is to be written as an object."""
    return run.decision is Decision.RUN or run.task.on_failure == "sc"


def _context(selected: Sequence[PlannedRun], config: Config) -> "RunContext":
    """Load the bundle; the study became quiet when the last of its files was written."""
    from app.application import RunContext
    from models.bundles.bundle import load_bundle
    from models.method import Method

    files = (instance.path for run in selected for instance in run.series.instances)
    last = max((int(file.stat().st_mtime) for file in files), default=0)
    bundle = load_bundle(config.models.bundle, config.models.directory, config.models.device)
    return RunContext(Method(bundle), datetime.fromtimestamp(last, UTC), config.application.version)


@contextmanager
def _progress(console: Console) -> Iterator[Advance]:
    """Show one progress bar per run; yields a function that returns a run's progress callback."""
    with counted(console, transient=True) as progress:

        def advance(run: PlannedRun) -> Callable[[int, int], None]:
            name = f"{run.task.name}: {run.series.modality} {run.series.text('SeriesNumber')}"
            bar = progress.add_task(name, total=run.series.images)
            return lambda done, total: progress.update(bar, completed=done, total=total)

        yield advance
