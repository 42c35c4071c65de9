"""``textseg evaluate``: score the method on a folder of images and masks, as a table and as a report."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import typer
from PIL import Image as Pillow
from rich.console import Console
from rich.progress import track

from app.config import Config
from models.errors import Code, ConfigError
from models.evaluation.answer import Answer
from models.evaluation.dataset import Dataset, open_dataset
from models.evaluation.metrics import TOLERANCE_PX
from models.evaluation.report import Heading, build, to_json, write
from models.evaluation.run import Prompts, Scored
from models.evaluation.run import evaluate as run_evaluation
from models.evaluation.table import refusals_table, scores_table
from operators.task import Task

if TYPE_CHECKING:
    from models.method import Method

DONE = 0
NOTHING_USABLE = 1
DEFAULT_SEED: int = Task.model_fields["seed"].default


@dataclass(frozen=True)
class Request:
    """The command line of ``textseg evaluate``; None where an option was not given."""

    dataset: Path
    task: str | None = None
    prompt: str | None = None
    method: str | None = None
    mode: str | None = None
    bundle: str | None = None
    ensemble: bool | None = None
    save_masks: Path | None = None
    report: Path | None = None
    as_json: bool = False


@dataclass(frozen=True)
class Question:
    """The request, resolved: what is asked of each image, by its name; preset, mode and base seed."""

    prompts: Mapping[str, Prompts]
    preset: str
    mode: str
    seed: int


def evaluate(request: Request, config: Config) -> int:
    """Run the evaluation, print its table (or JSON), write report and masks, and return the exit code.

    Returns
    -------
    int
        0; 1 when every image was refused.

    Raises
    ------
    ConfigError
        The request names what does not exist, or asks nothing.
    PromptError
        A prompt is empty or too long.
    DatasetError
        The folder does not follow the layout.
    ModelError
        The bundle cannot be loaded.
    """
    task = None if request.task is None else config.task(request.task)
    preset, mode = _preset(request, task)
    _refuse_ensemble(request)
    dataset = open_dataset(request.dataset)
    question = Question(
        choose_prompts(dataset, request.prompt, task), preset, mode, task.seed if task else DEFAULT_SEED
    )
    for folder in (request.save_masks, request.report and request.report.parent):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    method = _load(request, config)
    scored = _run(request, dataset, question, method)
    _show(request, _heading(request, config, question, method), scored)
    return NOTHING_USABLE if all(image.row.status == "refused" for image in scored) else DONE


def choose_prompts(dataset: Dataset, prompt: str | None, task: Task | None) -> dict[str, Prompts]:
    """Return what is asked of each image, by name: --prompt, else prompts.csv, else the task's prompts.

    Raises
    ------
    ConfigError
        USAGE when none of the three says what to ask, or the task asks for several structures at once.
    """
    if prompt is not None:
        return {item.name: (prompt,) for item in dataset.items}
    if dataset.has_prompts:
        return {item.name: item.prompts for item in dataset.items}
    if task is None:
        raise ConfigError(
            Code.USAGE,
            f"nothing is asked: give --prompt or --task, or put a prompts.csv into {dataset.folder}",
        )
    if len(task.targets) > 1:
        labels = ", ".join(target.segment.label for target in task.targets)
        raise ConfigError(
            Code.USAGE,
            f"task {task.name} asks for several structures ({labels}), a data set has one mask per image; "
            "name one with --prompt",
        )
    return {item.name: task.targets[0].prompts for item in dataset.items}


def _preset(request: Request, task: Task | None) -> tuple[str, str]:
    """Return method and mode: the options, else the task's, else the first that tasks may name."""
    chosen = []
    for field, asked in (("method", request.method), ("mode", request.mode)):
        known = get_args(Task.model_fields[field].annotation)
        if asked is not None and asked not in known:
            raise ConfigError(Code.USAGE, f"there is no {field} {asked!r}; there is: {', '.join(known)}")
        chosen.append(asked or (getattr(task, field) if task else known[0]))
    return chosen[0], chosen[1]


def _refuse_ensemble(request: Request) -> None:
    if request.ensemble:
        what = f"task {request.task}" if request.task else "a prompt without a task"
        raise ConfigError(
            Code.USAGE,
            f"--ensemble on: {what} has no trained checkpoint ensemble; leave the option out or say off",
        )


def _load(request: Request, config: Config) -> "Method":
    from models.bundles.bundle import load_bundle
    from models.method import Method

    reference = request.bundle or config.models.bundle
    return Method(load_bundle(reference, config.models.directory, config.models.device))


def _heading(request: Request, config: Config, question: Question, method: "Method") -> Heading:
    asked = set(question.prompts.values())
    wordings = asked.pop() if len(asked) == 1 else ()
    return Heading(
        bundle=method.bundle.name,
        bundle_version=method.bundle.version,
        bundle_digest=method.bundle.digest,
        method=question.preset,
        mode=question.mode,
        prompt=" | ".join(wordings) if wordings else "prompts.csv",
        prompts=wordings,
        task=request.task,
        ensemble="off",
        software_version=config.application.version,
        seed=question.seed,
        nsd_tolerance_px=TOLERANCE_PX,
        settings=method.settings.record(),
    )


def _run(request: Request, dataset: Dataset, question: Question, method: "Method") -> list[Scored]:
    answers: Iterable[tuple[Scored, Answer]] = track(
        run_evaluation(dataset, question.prompts, method, question.seed),
        description="images",
        total=len(dataset.items),
        console=Console(stderr=True),
    )
    scored = []
    for image, answer in answers:
        scored.append(image)
        if request.save_masks is not None:
            Pillow.fromarray(answer.mask.astype("uint8") * 255).save(
                request.save_masks / f"{image.row.name}.png"
            )
    return scored


def _show(request: Request, heading: Heading, scored: list[Scored]) -> None:
    report = build(heading, scored)
    if request.report is not None:
        write(request.report, report)
    if request.as_json:
        typer.echo(to_json(report), nl=False)
        return
    console = Console()
    console.print(scores_table(heading, scored))
    refusals = refusals_table(scored)
    if refusals is not None:
        console.print(refusals)
    if request.report is not None:
        console.print(f"report: {request.report}")
