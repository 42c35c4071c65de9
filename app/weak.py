"""``textseg crossfit --weak-supervision``: what training on the method's own answers adds, as one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from app.align import Corpus, task_prompts
from app.config import Config
from app.progress import counted

if TYPE_CHECKING:
    from models.align.weak import Plan
    from models.evaluation.run import Scored
    from models.evaluation.statistics import Estimate

METRICS = ("dsc", "nsd", "ece", "aurc")


@dataclass(frozen=True)
class Request:
    """The command line: ``budget`` in minutes for each training; empty ``folds`` and ``sets``: all of them.

    The rest is as in :class:`models.align.weak.Plan`.
    """

    corpus: Corpus
    budget: float
    folds: tuple[int, ...] = ()
    sets: tuple[str, ...] = ()
    each: int | None = None
    unlabelled: int | None = None
    report: Path | None = None


def weak_supervision(request: Request, config: Config) -> int:
    """Train what is not there yet, judge every row on the folds' held-out images, and print the table.

    Raises DatasetError where the training sets are not there.
    """
    from models.align.folds import FOLDS
    from models.align.weak import UNLABELLED, Plan, compare
    from models.evaluation.report import summarise, write

    prompts = task_prompts(config)
    corpus = request.corpus
    plan = Plan(
        data=corpus.data,
        work=corpus.work / "weak" / f"{request.unlabelled or 'all'}-labelled-{request.budget:g}-min",
        heads=corpus.heads,
        seconds=request.budget * 60.0,
        prompts=prompts,
        folds=request.folds or tuple(range(1, FOLDS + 1)),
        sets=request.sets or tuple(UNLABELLED),
        each=request.each,
        unlabelled=request.unlabelled,
        device=config.models.device,
    )
    with counted() as progress:
        bar = progress.add_task("weak supervision", total=None)

        def told(what: str, done: int, total: int) -> None:
            progress.update(bar, description=what, completed=done, total=total)

        results = compare(plan, partial(corpus.features, partial(told, "features")), told)
    shares = {
        row: {origin: found_shares(scored) for origin, scored in by_set.items()}
        for row, by_set in results.items()
    }
    summary = {
        row: {origin: summarise(scored) for origin, scored in by_set.items()}
        for row, by_set in results.items()
    }
    console = Console()
    for origin in next(iter(results.values())):
        console.print(_table(origin, results, summary, shares))
    if request.report is not None:
        write(request.report, _document(plan, summary, shares))
    return 0


def _table(
    origin: str,
    results: "Mapping[str, Mapping[str, Sequence[Scored]]]",
    summary: "Mapping[str, Mapping[str, Mapping[str, Estimate]]]",
    shares: Mapping[str, Mapping[str, Mapping[str, str]]],
) -> Table:
    first = next(iter(results))
    images = len(results[first][origin])
    table = Table(title=f"{origin}: {images} held-out images", caption="mean (95 % interval by patient)")
    for column in ("", *(metric.upper() for metric in METRICS), *shares[first][origin]):
        table.add_column(column, justify="right" if column else "left")
    for row in results:
        metrics = (_cell(summary[row][origin].get(metric)) for metric in METRICS)
        table.add_row(row, *metrics, *shares[row][origin].values())
    return table


def found_shares(scored: "Sequence[Scored]") -> dict[str, str]:
    """Return how often a target was found where there is one, and nothing where there is none."""
    found = [one.row.status == "found" for one in scored if not one.absent]
    silent = [one.row.status == "nothing-found" for one in scored if one.absent]
    return {
        "target found": f"{sum(found)} of {len(found)}",
        "nothing found without one": f"{sum(silent)} of {len(silent)}",
    }


def _cell(estimate: "Estimate | None") -> str:
    from models.evaluation.table import interval, number

    return "-" if estimate is None else f"{number(estimate.mean)} ({interval(estimate)})"


def _document(
    plan: "Plan",
    summary: "Mapping[str, Mapping[str, Mapping[str, Estimate]]]",
    shares: Mapping[str, Mapping[str, Mapping[str, str]]],
) -> dict[str, Any]:
    return {
        "folds": list(plan.folds),
        "minutes_per_training": plan.seconds / 60.0,
        "judged_per_set_and_fold": plan.each,
        "labelled_per_set_and_fold": plan.unlabelled,
        "rows": {
            row: {
                origin: {
                    **{
                        metric: {"mean": found[metric].mean, "ci95": found[metric].ci95}
                        for metric in METRICS
                        if metric in found
                    },
                    **shares[row][origin],
                }
                for origin, found in by_set.items()
            }
            for row, by_set in summary.items()
        },
    }
