"""What weak supervision adds, on held-out folds: one table from zero-shot to the fully supervised bound.

Each fold is judged by models that never saw its masks. The head without the fold labels images that have no
mask at all; nnU-Net learns from these labels. Only the bound learns from true masks, of the other folds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.align.corpus import brain_without_tumour
from models.align.crossfit import (
    CONCEPT,
    chosen,
    dealt,
    held_out,
    other_folds,
    without_target,
)
from models.align.features import Features
from models.align.heads import Heads, head_without, method_with
from models.align.results import kept, scored_from_json, scored_to_json
from models.device import computes_bfloat16
from models.ensemble.export import Purpose, export
from models.ensemble.plan import LADDER, Size
from models.ensemble.pseudo_set import begin, believed, label
from models.ensemble.recipe import Recipe
from models.ensemble.record import DESCRIPTION, EnsembleRecord, read_record
from models.ensemble.schedule import Cycles
from models.ensemble.train import prepare, train
from models.evaluation.dataset import Item, read_image
from models.evaluation.metrics import Mask
from models.evaluation.run import Prompts, Scored, evaluate
from models.labelled import Labelled, read_labelled
from models.method import Method

UNLABELLED = {
    "brain_mr": Path("brain_mr_unlabelled", "images"),
    "chest_xray": Path("image_text", "chest_xray_covid", "images"),
}
"""Where images of a set's kind lie that have no mask."""

LEAST_CONFIDENCE = 0.7
SMALL = LADDER[3]
"""The plan of the shipped brain ensemble."""

AROUND = 0.5
CYCLES = Cycles(60, 3, 2)
ONE_CYCLE = Cycles(60, 1, 1)

ZERO_SHOT = "zero-shot"
SINGLE = "pseudo-labels, nnU-Net, last checkpoint"
ENSEMBLE = "pseudo-labels, nnU-Net, ensemble"
RESIDUAL = "pseudo-labels, residual U-Net (as MedCLIP-SAM)"
BOUND = "true masks, nnU-Net, ensemble (bound)"
ROWS = (ZERO_SHOT, RESIDUAL, SINGLE, ENSEMBLE, BOUND)

Told = Callable[[str, int, int], None]
"""Told what is done, how many of it, and of how many."""


@dataclass(frozen=True)
class Plan:
    """What is compared: ``seconds`` for each training, ``prompts`` by set, ``folds`` from 1, on ``sets``.

    ``work`` keeps what is finished of one plan, ``heads`` the heads of any; ``device``, as torch names it,
    computes.

    ``each`` images with a target per set and fold are judged, and of each set's images without masks
    ``unlabelled`` are labelled in every fold; None: all.
    """

    data: Path
    work: Path
    heads: Heads
    seconds: float
    prompts: Mapping[str, Prompts]
    folds: tuple[int, ...]
    sets: tuple[str, ...]
    each: int | None = None
    unlabelled: int | None = None
    device: str = "cpu"


def compare(
    plan: Plan, features: Callable[[], Sequence[Features]], told: Told
) -> dict[str, dict[str, list[Scored]]]:
    """Return the scored images by row and set; whatever is finished under ``plan.work`` is not done again.

    ``features`` of the corpus are asked for only where a head is not there yet.
    """
    results: dict[str, dict[str, list[Scored]]] = {row: {origin: [] for origin in plan.sets} for row in ROWS}
    for fold in plan.folds:
        method = _without(plan, fold, features, told)
        for origin in plan.sets:
            place = plan.work / f"fold-{fold}" / origin
            for row, ensemble in _rows(plan, fold, origin, method, place, told):
                path = place / f"{ROWS.index(row)}-of-{plan.each or 'all'}.json"
                scored = _judged(plan, fold, origin, _asking(method, ensemble), path)
                results[row][origin] += scored
    return results


def _without(plan: Plan, fold: int, features: Callable[[], Sequence[Features]], told: Told) -> Method:
    def report(epoch: int, _: float) -> None:
        told(f"head without fold {fold}", epoch, 0)

    return method_with(head_without(features, fold, plan.heads, report), plan.device)


def _rows(
    plan: Plan, fold: int, origin: str, method: Method, place: Path, told: Told
) -> Iterator[tuple[str, EnsembleRecord | None]]:
    yield ZERO_SHOT, None
    labels = _pseudo(plan, origin, method, place / "pseudo", told)
    purpose = Purpose(CONCEPT[origin], plan.prompts[origin], "pseudo", method.settings.method, {"fold": fold})
    residual = replace(SMALL, residual=True)
    yield RESIDUAL, _trained(plan, labels, place / "residual", residual, ONE_CYCLE, purpose, told)
    ensemble = _trained(plan, labels, place / "ensemble", SMALL, CYCLES, purpose, told)
    yield SINGLE, replace(ensemble, members=ensemble.members[-1:])
    yield ENSEMBLE, ensemble
    truth = read_labelled(other_folds(plan.data, origin, fold).items)
    by_hand = replace(purpose, labels="truth", method=None)
    yield BOUND, _trained(plan, truth, place / "truth", SMALL, CYCLES, by_hand, told)


def _pseudo(plan: Plan, origin: str, method: Method, folder: Path, told: Told) -> Sequence[Labelled]:
    """Label the images without masks by the method, and return those labels that are believed."""
    prompts = plan.prompts[origin]
    judged = {path.stem for path in brain_without_tumour(plan.data)}
    paths = sorted((plan.data / UNLABELLED[origin]).glob("*.png"), key=lambda path: dealt(path.stem))
    images = {path.stem: path for path in [one for one in paths if one.stem not in judged][: plan.unlabelled]}
    rows = begin(folder, {"prompts": list(prompts), "settings": method.settings.record()}, folder / "none")
    missing = {name: path for name, path in images.items() if name not in rows}
    for number, _ in enumerate(label(folder, missing, method, prompts), start=1):
        told(f"{origin}: pseudo-labels", number, len(missing))
    return believed(folder, LEAST_CONFIDENCE)


def _trained(
    plan: Plan,
    labelled: Sequence[Labelled],
    folder: Path,
    size: Size,
    cycles: Cycles,
    purpose: Purpose,
    told: Told,
) -> EnsembleRecord:
    """Train in ``plan.seconds`` what is not there yet."""
    if not (folder / DESCRIPTION).is_file():
        bf16 = computes_bfloat16(plan.device)
        asked = Recipe(cycles, around=AROUND, upright=True, bf16=bf16)
        size, recipe = prepare(labelled, folder / "work", asked, size, plan.seconds, plan.device)

        def report(epoch: int, *_: float) -> None:
            told(f"{folder.parent.name}: {folder.name}", epoch, cycles.epochs)

        done = train(folder / "work", size, recipe, plan.device, report)
        export(done, labelled, purpose, folder, plan.device)
    return read_record(folder)


def _asking(method: Method, ensemble: EnsembleRecord | None) -> Method:
    """Return the method with this ensemble in the place of those that its bundle brings."""
    if ensemble is None:
        return method
    bundle = replace(method.bundle, ensembles=(replace(ensemble, method=None),))
    return Method(bundle, method.settings).voting(True)


def _judged(plan: Plan, fold: int, origin: str, method: Method, path: Path) -> list[Scored]:
    dataset = held_out(plan.data, origin, fold)
    if plan.each is not None:
        dataset = chosen(dataset, plan.each)
    empty = tuple(_without_target(path) for path in without_target(plan.data, origin, fold))
    dataset = replace(dataset, items=dataset.items + empty)
    asked = {item.name: plan.prompts[origin] for item in dataset.items}

    def compute() -> object:
        return scored_to_json({origin: [one for one, _ in evaluate(dataset, asked, method)]})

    return scored_from_json(kept(path, compute))[origin]


def _without_target(path: Path) -> Item:
    """Return an image on which nothing is to be found."""

    def nothing() -> Mask:
        return np.zeros(read_image(path).shape[:2], np.bool_)

    return Item(name=path.stem, image=path, mask=path, prompts=(), patient=path.stem, load_mask=nothing)
