"""``textseg search``: the settings of SaLIP that suit a data set, and how to make a task use them.

The file that is written is also what an interrupted search goes on from.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import yaml
from rich.console import Console
from rich.table import Table

from app.config import Config
from app.progress import counted
from models.errors import Code, ConfigError
from models.evaluation.dataset import Dataset
from models.evaluation.layouts.known import open_layout
from models.evaluation.table import number

if TYPE_CHECKING:
    from models.method import Method
    from models.salip.search import Search

TUNING = 5
"""As many labelled images as the paper tunes on."""


@dataclass(frozen=True)
class Request:
    """The command line of ``textseg search``; None where an option was not given."""

    dataset: Path
    out: Path
    layout: str = "textseg"
    prompt_task: str | None = None
    kind: str = "P0"
    prompt: str | None = None
    tuning: int | None = None
    label_free: bool = False
    count: int = 5
    seed: int = 0
    evaluated: Path | None = None
    bundle: str | None = None


def search(request: Request, config: Config) -> None:
    """Try settings, keep every finished trial in ``request.out``, and print the table and what to copy.

    Raises
    ------
    ConfigError
        USAGE: options that contradict each other, or nothing to ask or to tune on.
    PromptError
        The prompt is empty or too long.
    DatasetError
        DATASET-INVALID: a folder does not follow its layout, or an image is both tuned on and evaluated;
        RUN-MISMATCH: ``request.out`` holds another search.
    ModelError
        The bundle cannot be loaded.
    """
    _refuse_contradictions(request)
    prompts, regions = _asked(request)
    dataset = open_layout(request.layout, request.dataset)
    request.out.parent.mkdir(parents=True, exist_ok=True)
    method = _method(request, config, regions)
    facts = {
        "schema_version": 1,
        "software_version": config.application.version,
        "bundle": method.bundle.name,
        "bundle_digest": method.bundle.digest,
        "prompts": list(prompts),
        "seed": request.seed,
    }
    judge = _without_labels(dataset) if request.label_free else _with_labels(request, dataset)
    _show(_run(request, method, prompts, judge, facts), request)


def _refuse_contradictions(request: Request) -> None:
    if (request.prompt_task is None) == (request.prompt is None):
        raise ConfigError(Code.USAGE, "say what to look for: either --prompt-task or --prompt")
    if request.label_free and (request.tuning is not None or request.evaluated is not None):
        raise ConfigError(
            Code.USAGE, "--label-free uses no mask: --tuning and --evaluated belong to a search with labels"
        )


def _asked(request: Request) -> tuple[tuple[str, ...], int]:
    """Return the wordings, and how many regions the target has."""
    from models.prompts import check_prompts, prompt_set, prompt_sets

    if request.prompt_task is None:
        prompts = (request.prompt or "",)
        check_prompts(prompts)
        return prompts, 1
    return prompt_set(request.prompt_task, request.kind), prompt_sets(request.prompt_task).regions


def _method(request: Request, config: Config, regions: int) -> "Method":
    from models.bundles.bundle import load_bundle
    from models.method import Method

    reference = request.bundle or config.models.bundle
    bundle = load_bundle(reference, config.models.directory, config.models.device)
    return Method(bundle).using("salip", "recommended", {"salip": {"k": regions}})


@dataclass(frozen=True, eq=False)
class _Judge:
    """One of the two searches, ready but for candidates and models; ``images`` by name with their SHA-256."""

    search: Callable[..., "Search"]
    judged_by: Literal["dsc", "margin"]
    images: Mapping[str, str]


def _with_labels(request: Request, dataset: Dataset) -> _Judge:
    from models.labelled import draw, identities, read_labelled
    from models.salip.search import search_with_labels

    shown = [item for item in dataset.items if item.truth().any()]
    tuning = read_labelled(draw(shown, request.tuning or TUNING, request.seed))
    apart = () if request.evaluated is None else open_layout(request.layout, request.evaluated).items
    digests = {one.name: _digest(one.image, one.mask) for one in tuning}
    return _Judge(partial(search_with_labels, tuning=tuning, evaluated=identities(apart)), "dsc", digests)


def _without_labels(dataset: Dataset) -> _Judge:
    from models.salip.search import search_by_margin

    images = {item.name: item.pixels() for item in dataset.items}
    digests = {name: _digest(image) for name, image in images.items()}
    return _Judge(partial(search_by_margin, images=images), "margin", digests)


def _digest(*arrays: npt.NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _run(
    request: Request, method: "Method", prompts: Sequence[str], judge: _Judge, facts: Mapping[str, Any]
) -> "Search":
    """Go on from the file, if there is one; every finished trial is in it before the next begins."""
    from models.salip.search import SPACE, Journal, Models, Search, Trial, drawn, read_trials

    facts = {**facts, "judged_by": judge.judged_by, "images_sha256": dict(judge.images)}
    done = list(read_trials(request.out, facts))

    def keep(found: Sequence[Trial]) -> None:
        done.extend(found)
        Search(judge.judged_by, tuple(judge.images), tuple(done)).write(request.out, facts)

    with counted() as progress:
        bar = progress.add_task("images segmented", total=None)
        found = judge.search(
            candidates=drawn(method.settings.salip, SPACE, request.count, request.seed),
            models=Models(method.bundle.segmenter, method.encoder),
            text=method.text(prompts),
            journal=Journal(
                tuple(done), keep, lambda n, total: progress.update(bar, completed=n, total=total)
            ),
        )
    found.write(request.out, facts)
    return found


def _show(found: "Search", request: Request) -> None:
    from models.salip.search import overrides

    measure = "mean DSC" if found.judged_by == "dsc" else "mean margin"
    table = Table(title=f"SaLIP: {measure} on {len(found.names)} images", caption=_caption(found, request))
    names = tuple(overrides(found.best.settings)["everything"])
    for heading in (*names, "area", measure):
        table.add_column(heading, justify="right")
    for trial in sorted(found.trials, key=lambda trial: trial.mean, reverse=True):
        everything = trial.settings.everything
        smallest, largest = trial.settings.area
        table.add_row(
            *(f"{getattr(everything, name):g}" for name in names),
            f"{smallest:g} to {largest:g}",
            number(trial.mean),
        )
    console = Console()
    console.print(table)
    console.print("For a task of your site file, or without `method` for a bundle.yaml:", markup=False)
    settings = {"method": "salip", "settings": found.record()["settings"]}
    console.print(yaml.safe_dump(settings, sort_keys=False), markup=False, highlight=False)
    console.print(f"trials: {request.out}", markup=False)


def _caption(found: "Search", request: Request) -> str:
    if found.judged_by == "margin":
        return "No label was used: how clearly the encoder chooses, not whether it is right."
    if request.evaluated is None:
        return "Tuned with labels: evaluate on images and patients that are not among these."
    return f"Tuned with labels: none of these images or patients is in {request.evaluated.name}."
