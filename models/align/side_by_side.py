"""All methods and baselines on held-out images: each fold by the head that never saw it.

Baselines that learn from labelled images get them from the other folds. SaLIP and gScoreCAM pass the image
tower hundreds of times per image: a number of images per set and fold bounds the work and is stated.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models.align.crossfit import chosen, held_out, other_folds
from models.align.folds import FOLDS, SETS, SHIPPED_WITHOUT, patient_of
from models.align.heads import method_with
from models.bundles.bundle import Bundle
from models.errors import Code, ConfigError
from models.evaluation.grid import SCORES, Line, line
from models.evaluation.run import Prompts
from models.evaluation.statistics import estimate
from models.evaluation.suite import ROWS as SUITE
from models.evaluation.variant import Bench, Result, Variant, dataset_digest, run_variant
from models.labelled import Labelled, read_labelled

PROMPT_TASK = {
    "breast_ultrasound": "breast-tumour-us",
    "brain_mr": "brain-tumour-mri",
    "chest_xray": "lung-xray",
}
"""The set of prompts that says how many regions SaLIP looks for."""

ROWS: tuple[Variant, ...] = (
    *(
        replace(row, label=f"{row.label}, {mode}", mode=mode)
        for row in SUITE
        if row.baseline is None and row.missing is None
        for mode in ("recommended", "paper")
    ),
    *(row for row in SUITE if row.baseline is not None),
)
"""The rows of the suite, every method as we recommend it and as its paper has it."""

SLOW = frozenset({"medclip-sam", "salip"})
"""Methods that pass the image tower once per channel or region: scored on one image per set alone."""


@dataclass(frozen=True)
class Plan:
    """What is compared: ``each`` images with a target per set and fold, ``prompts`` by set."""

    data: Path
    work: Path
    each: int
    prompts: Mapping[str, Prompts]


def compare(
    plan: Plan, heads: Sequence[Path], progress: Callable[[str, int, int], None]
) -> tuple[tuple[Line, ...], Mapping[str, int]]:
    """Return a line per row and the number of images per set; ``progress`` is told row, done and total.

    Every finished row of a fold is kept under ``plan.work``. Rows of :data:`SLOW` methods see one image of
    each set, of the fold that the shipped head never saw, and say so in their label.
    """
    results: dict[str, dict[str, list[Result]]] = {row.label: {} for row in ROWS}
    images: dict[str, int] = dict.fromkeys(SETS, 0)
    for fold in range(1, FOLDS + 1):
        method = method_with(heads[fold - 1])
        for origin in SETS:
            dataset = chosen(held_out(plan.data, origin, fold), plan.each)
            images[origin] += len(dataset.items)
            bench = Bench(
                dataset=dataset,
                prompts=dict.fromkeys((item.name for item in dataset.items), plan.prompts[origin]),
                method=method,
                bundle_of=_no_other,
                seed=0,
                software_version=version("textseg"),
                work=plan.work / f"fold-{fold}" / origin,
                digest=dataset_digest(dataset) + heads[fold - 1].stem,
                prompt_task=PROMPT_TASK[origin],
                support=_support(plan.data, origin, fold),
            )
            one = replace(bench, dataset=chosen(dataset, 1))
            for row in ROWS:
                if row.method in SLOW and fold != SHIPPED_WITHOUT:
                    continue
                asked = one if row.method in SLOW else bench
                label = f"fold {fold}, {origin}: {row.label}"
                done = run_variant(row, asked, partial(progress, label))
                results[row.label].setdefault(origin, []).append(done)
    lines = (
        line(_label(row), {origin: joined(row, parts) for origin, parts in results[row.label].items()})
        for row in ROWS
    )
    return tuple(lines), images


def _label(row: Variant) -> str:
    return f"{row.label} (one image per set)" if row.method in SLOW else row.label


def joined(row: Variant, parts: Sequence[Result]) -> Result:
    """Return one result over all folds, or the reason why there is none in some."""
    reasons = [part.reason for part in parts if part.reason is not None]
    if reasons:
        return Result(row, None, reasons[0])
    rows = [image for part in parts for image in (part.report or {})["images"]]
    summary: dict[str, Any] = {}
    for score in SCORES:
        found = estimate([one[score] for one in rows], [patient_of(one["name"]) for one in rows])
        summary[score] = {"mean": found.mean, "ci95": found.ci95}
    return Result(row, {"images": rows, "summary": summary})


def _support(data: Path, origin: str, fold: int) -> tuple[Labelled, ...]:
    """Labelled images of the other folds, as many as the largest number of shots takes."""
    most = max(row.shots for row in ROWS)
    return read_labelled(chosen(other_folds(data, origin, fold), most).items)


def _no_other(role: str) -> Bundle:
    raise ConfigError(Code.USAGE, f"a cross-fit of lite has no bundle for {role}")
