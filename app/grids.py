"""``textseg evaluate --ablation`` and ``--suite``: the shape of the papers' tables, row by row, resumable."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from app.config import Config
from app.evaluation_request import Request, support_of
from app.progress import counted
from models.errors import Code, ConfigError
from models.evaluation.ablation import ABLATIONS, ROLES
from models.evaluation.dataset import Dataset
from models.evaluation.files import replace_text
from models.evaluation.grid import Line, figures, line, record, terminal
from models.evaluation.layouts.known import open_layout
from models.evaluation.page import page, write_page
from models.evaluation.run import Prompts
from models.evaluation.suite import ROWS, Entry, read_suite
from models.evaluation.variant import Bench, Result, Variant, dataset_digest, prompts_of, run_variant

if TYPE_CHECKING:
    from models.bundles.bundle import Bundle
    from models.method import Method

WORK = Path(".cache/evaluation")


def ablation(
    request: Request,
    config: Config,
    dataset: Dataset,
    prompts: Mapping[str, Prompts],
    method: "Method",
    seed: int,
) -> None:
    """Run every row of an ablation on one data set and show the table.

    Raises
    ------
    ConfigError
        USAGE: there is no such ablation, or a role that nobody has.
    DatasetError
        The data set or the support set does not follow its layout, or they overlap.
    """
    name = request.ablation or ""
    if name not in ABLATIONS:
        raise ConfigError(Code.USAGE, f"there is no ablation {name!r}; there is: {', '.join(ABLATIONS)}")
    table = ABLATIONS[name]
    bench = Bench(
        dataset=dataset,
        prompts=prompts,
        method=method,
        bundle_of=_bundles(request, config),
        seed=seed,
        software_version=config.application.version,
        work=request.work or WORK,
        digest=dataset_digest(dataset),
        prompt_task=request.prompt_task,
        support=support_of(request.support, request.layout, dataset),
    )
    label = dataset.folder.name
    lines = [line(result.variant.label, {label: result}) for result in _run(table.variants, bench, label)]
    _show(request, f"{name} ({table.paper})", table.caption, lines, [label])


def suite(request: Request, config: Config, method: "Method", seed: int) -> None:
    """Run all methods and baselines on all data sets of a suite and show the table. Raises as ablation."""
    entries = read_suite(_given(request.suite))
    results: dict[str, list[Result]] = {}
    for entry in entries:
        bench = _entry_bench(request, config, method, seed, entry)
        results[entry.name] = _run(ROWS, bench, entry.name)
    lines = [
        line(variant.label, {name: found[index] for name, found in results.items()})
        for index, variant in enumerate(ROWS)
    ]
    caption = "All: mean of the means, root mean square of the deviations."
    _show(request, "suite (MedCLIP-SAMv2, Table 1)", caption, lines, [entry.name for entry in entries])


def _given(where: Path | None) -> Path:
    if where is None:
        raise ConfigError(Code.USAGE, "no suite is given")
    return where


def _entry_bench(request: Request, config: Config, method: "Method", seed: int, entry: Entry) -> Bench:
    dataset = open_layout(entry.layout, entry.folder)
    return Bench(
        dataset=dataset,
        prompts=_entry_prompts(entry, dataset),
        method=method,
        bundle_of=_bundles(request, config),
        seed=seed,
        software_version=config.application.version,
        work=request.work or WORK,
        digest=dataset_digest(dataset),
        prompt_task=entry.prompt_task,
        support=support_of(entry.support, entry.layout, dataset),
    )


def _entry_prompts(entry: Entry, dataset: Dataset) -> Mapping[str, Prompts]:
    if entry.prompts:
        return dict.fromkeys((item.name for item in dataset.items), entry.prompts)
    if entry.prompt_task is not None:
        return prompts_of(dataset, entry.prompt_task, entry.kind)
    if not dataset.has_prompts:
        raise ConfigError(
            Code.USAGE, f"{entry.name}: nothing is asked; give prompts or prompt_task, or write a prompts.csv"
        )
    return {item.name: item.prompts for item in dataset.items}


def _bundles(request: Request, config: Config) -> Callable[[str], "Bundle"]:
    given = {}
    for assigned in request.roles:
        role, equals, reference = assigned.partition("=")
        if role not in ROLES or not equals or not reference:
            raise ConfigError(
                Code.USAGE, f"--with {assigned}: say ROLE=BUNDLE, ROLE one of {', '.join(ROLES)}"
            )
        given[role] = reference

    @cache
    def bundle_of(role: str) -> "Bundle":
        if role not in given:
            raise ConfigError(Code.USAGE, f"no bundle is given for it; say --with {role}=BUNDLE")
        from models.bundles.bundle import load_bundle

        return load_bundle(given[role], config.models.directory, config.models.device)

    return bundle_of


def _run(variants: Sequence[Variant], bench: Bench, label: str) -> list[Result]:
    found = []
    with counted() as progress:
        for variant in variants:
            shown = progress.add_task(f"{label}: {variant.label}", total=len(bench.dataset.items))
            found.append(run_variant(variant, bench, partial(_advance, progress, shown)))
            progress.remove_task(shown)
    return found


def _advance(progress: Progress, task: TaskID, done: int, total: int) -> None:
    progress.update(task, completed=done, total=total)


def _show(request: Request, title: str, caption: str, lines: Sequence[Line], datasets: Sequence[str]) -> None:
    content = json.dumps(record(title, lines, datasets), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    shown = figures(title, caption, lines, datasets)
    if request.report is not None:
        request.report.parent.mkdir(parents=True, exist_ok=True)
        replace_text(request.report, content)
    written = None
    if request.html is not None:
        written = write_page(request.html, page(f"textseg: {title}", datasets, (), (shown,)))
    if request.as_json:
        typer.echo(content, nl=False)
        return
    console = Console()
    console.print(terminal(shown))
    for path in filter(None, (request.report, written)):
        console.print(f"report: {path}")
