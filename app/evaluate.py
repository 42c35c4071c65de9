"""``textseg evaluate``: score the method on a folder of images and masks, as a table and as a report."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from PIL import Image as Pillow
from rich.console import Console
from rich.progress import track

from app.config import Config
from app.evaluation_request import Request, choose_prompts, refuse_contradictions, support_of
from app.grids import ablation, suite
from app.method_choice import chosen_preset, load_method
from models.errors import Code, ConfigError, DatasetError
from models.evaluation.answer import Answer
from models.evaluation.dataset import Dataset, Item
from models.evaluation.layouts.known import open_layout
from models.evaluation.metrics import TOLERANCE_PX
from models.evaluation.page import Case, evaluation_page, write_page
from models.evaluation.panels import panels
from models.evaluation.report import Heading, build, to_json, write
from models.evaluation.run import Asking, Prompts, Scored, Scoring, ask_method
from models.evaluation.run import evaluate as run_evaluation
from models.evaluation.table import refusals_table, scores_table
from operators.task import Task

if TYPE_CHECKING:
    from models.method import Method

DONE = 0
NOTHING_USABLE = 1
DEFAULT_SEED: int = Task.model_fields["seed"].default


@dataclass(frozen=True)
class Question:
    """The request, resolved: what each image is asked, by name; preset, mode, seed, the task's settings.

    ``ensemble``: a task is named, and lets checkpoint ensembles vote.
    """

    prompts: Mapping[str, Prompts]
    preset: str
    mode: str
    seed: int
    overrides: Mapping[str, Any]
    ensemble: bool


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
    preset, mode = chosen_preset(request.method, request.mode, task)
    overrides = task.settings if task else {}
    refuse_contradictions(request)
    seed = task.seed if task else DEFAULT_SEED
    if request.suite is not None:
        suite(request, config, load_method(request.bundle, config).using(preset, mode, overrides), seed)
        return DONE
    dataset = open_layout(request.layout, request.dataset or Path())
    prompts = choose_prompts(dataset, request, task)
    if request.ablation is not None:
        ablation(
            request,
            config,
            dataset,
            prompts,
            load_method(request.bundle, config).using(preset, mode, overrides),
            seed,
        )
        return DONE
    question = Question(prompts, preset, mode, seed, overrides, task is not None and task.ensemble)
    return _evaluate_once(request, config, dataset, question)


def _evaluate_once(request: Request, config: Config, dataset: Dataset, question: Question) -> int:
    for folder in (request.save_masks, request.report and request.report.parent):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    method = load_method(request.bundle, config)
    voting = _with_ensemble(request, question, method)
    method = method.using(question.preset, question.mode, question.overrides).voting(voting)
    asking, notes = _asking(request, dataset, question, method)
    scored, cases = _run(request, dataset, question, method, asking)
    heading = replace(_heading(request, config, question, method), notes=notes)
    _show(request, heading, scored, cases)
    return NOTHING_USABLE if all(image.row.status == "refused" for image in scored) else DONE


def _with_ensemble(request: Request, question: Question, method: "Method") -> bool:
    """Return whether checkpoint ensembles may vote: as said, else where the task named has one.

    Each votes on the prompts that it was trained for and on no other, also where it is said to be on.
    Raises ConfigError (USAGE) where it is said to be on and there is none.
    """
    trained = {one.task for one in method.bundle.ensembles}
    if request.ensemble is None:
        return question.ensemble and request.task in trained and request.baseline is None
    if request.ensemble and not (request.task in trained if request.task else trained):
        what = f"task {request.task}" if request.task else f"bundle {method.bundle.name}"
        raise ConfigError(
            Code.USAGE,
            f"--ensemble on: {what} has no trained checkpoint ensemble; leave the option out or say off",
        )
    return request.ensemble


def _heading(request: Request, config: Config, question: Question, method: "Method") -> Heading:
    asked = set(question.prompts.values())
    wordings = asked.pop() if len(asked) == 1 else ()
    return Heading(
        bundle=method.bundle.name,
        bundle_version=method.bundle.version,
        bundle_digest=method.bundle.digest,
        method=question.preset,
        mode=question.mode,
        prompt=" | ".join(wordings) if wordings else _asked_by_image(request),
        prompts=wordings,
        task=request.task,
        baseline=request.baseline,
        ensemble="on" if method.settings.ensemble.vote else "off",
        software_version=config.application.version,
        seed=question.seed,
        nsd_tolerance_px=TOLERANCE_PX,
        settings=method.settings.record(),
    )


def _asked_by_image(request: Request) -> str:
    return "prompts.csv" if request.prompt_task is None else f"{request.prompt_task} {request.kind}"


def _asking(
    request: Request, dataset: Dataset, question: Question, method: "Method"
) -> tuple[Asking, tuple[str, ...]]:
    """Return what is asked for a mask, the method or a baseline, and what a reader must know about it."""
    if request.baseline is None:
        return ask_method, ()
    import shlex

    from models.baselines.registry import Options, baseline
    from models.evaluation.baseline import AskBaseline
    from models.labelled import draw

    options = Options(
        salip=method.settings.salip,
        weights=request.weights,
        command=tuple(shlex.split(request.command or "")),
    )
    chosen = baseline(request.baseline, options)
    support = support_of(request.support, request.layout, dataset)
    shown = draw(support, request.shots, question.seed) if request.shots else support
    return AskBaseline(chosen, shown), (chosen.statement(method.bundle.segmenter),)


def _run(
    request: Request, dataset: Dataset, question: Question, method: "Method", asking: Asking
) -> tuple[list[Scored], list[Case]]:
    scoring = Scoring(slab=request.nsd_slab)
    answers: Iterable[tuple[Scored, Answer]] = track(
        run_evaluation(dataset, question.prompts, method, question.seed, scoring, asking),
        description="images",
        total=len(dataset.items),
        console=Console(stderr=True),
    )
    scored, cases = [], []
    for item, (image, answer) in zip(dataset.items, answers, strict=True):
        scored.append(image)
        if request.html is not None:
            cases.append(_case(item, image, answer))
        if request.save_masks is not None:
            path = request.save_masks / f"{image.row.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Pillow.fromarray(answer.mask.astype("uint8") * 255).save(path)
    return scored, cases


def _case(item: Item, scored: Scored, answer: Answer) -> Case:
    try:
        pixels = item.pixels()
    except DatasetError:
        pixels = None
    return Case(scored.row, panels(pixels, item.truth(), answer))


def _show(request: Request, heading: Heading, scored: list[Scored], cases: list[Case]) -> None:
    report = build(heading, scored)
    if request.report is not None:
        write(request.report, report)
    page = None if request.html is None else write_page(request.html, evaluation_page(heading, scored, cases))
    if request.as_json:
        typer.echo(to_json(report), nl=False)
        return
    console = Console()
    console.print(scores_table(heading, scored))
    for note in heading.notes:
        console.print(note)
    refusals = refusals_table(scored)
    if refusals is not None:
        console.print(refusals)
    for path in filter(None, (request.report, page)):
        console.print(f"report: {path}")
