"""``textseg train``: nnU-Net on labels, pseudo or true, in cycles; its checkpoints become an ensemble."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from app.config import Config
from app.method_choice import only_target
from app.progress import of_training
from models.errors import Code, ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.ensemble.recipe import Recipe
    from models.labelled import Labelled

BUDGET_EPOCHS, BUDGET_KEEP = 60, 2
"""With a budget: so many epochs in all, the last so many of each cycle kept."""


AROUND = 0.5
"""Of the box of what was found, seen on each side of it."""


@dataclass(frozen=True)
class Request:
    """The command line of ``textseg train``; None where an option was not given."""

    task: str
    data: Path
    out: Path
    labels: Literal["pseudo", "truth"]
    least_confidence: float = 0.5
    budget: float | None = None
    epochs: int | None = None
    cycles: int = 3
    keep: int | None = None
    rate: Literal["recommended", "released"] = "recommended"
    whole: bool = False
    any_way_up: bool = False
    bf16: bool = False
    seed: int = 0
    work: Path | None = None


def train(request: Request, config: Config) -> int:
    """Train below the working folder, or go on there, and leave the ensemble in ``request.out``.

    Raises
    ------
    ConfigError
        USAGE: no such task, several targets, or cycles that do not divide the epochs.
    DatasetError
        Nothing to learn from; the working folder was begun with other labels or options (RUN-MISMATCH).
    ModelError
        DEVICE-MISSING; STORAGE-FULL: nothing is lost, the same command goes on.
    """
    from models.device import computes_bfloat16, require
    from models.ensemble.export import Purpose, export
    from models.ensemble.train import prepare
    from models.ensemble.train import train as run

    target = only_target(config.task(request.task), "an ensemble has one")
    require(config.models.device)
    recipe = recipe_of(request)
    recipe = replace(recipe, bf16=recipe.bf16 and computes_bfloat16(config.models.device))
    labelled = _labelled(request)
    work = request.work or request.out / "work"
    console = Console(stderr=True)
    seconds = None if request.budget is None else request.budget * 60.0
    with console.status(f"nnU-Net plans and prepares {len(labelled)} images"):
        size, recipe = prepare(labelled, work, recipe, None, seconds, config.models.device)
    console.print(
        f"{recipe.cycles.epochs} epochs of {recipe.iterations} batches in {recipe.cycles.cycles} cycles, "
        f"images of {size.side} pixels; {recipe.cycles.cycles * recipe.cycles.keep} members"
    )
    with of_training(console) as progress:
        bar = progress.add_task("training", total=recipe.cycles.epochs, loss="")

        def report(epoch: int, loss: float, dice: float) -> None:
            shown = "" if math.isnan(dice) else f", Dice {dice:.3f} on labels held back"
            progress.update(bar, completed=epoch, loss=f"loss {loss:.3f}{shown}")

        trained = run(work, size, recipe, config.models.device, report)
    with console.status("temperature and review threshold on the labels held back"):
        method, source = _source(request)
        purpose = Purpose(request.task, target.prompts, request.labels, method, source)
        record = export(trained, labelled, purpose, request.out, config.models.device)
    Console().print(
        f"{request.out}: {len(record.members)} members, temperature {record.temperature:.2f}, review above "
        f"{record.review:.2f} bits; learning-curve.png shows the training"
    )
    return 0


def recipe_of(request: Request) -> "Recipe":
    """Return the paper's 600 epochs and 10 members a cycle, or those of a budget, with what was given.

    Raises ConfigError (USAGE).
    """
    from models.ensemble.recipe import Recipe
    from models.ensemble.schedule import Cycles

    epochs, keep = (600, 10) if request.budget is None else (BUDGET_EPOCHS, BUDGET_KEEP)
    try:
        cycles = Cycles(request.epochs or epochs, request.cycles, request.keep or keep, request.rate)
    except ValueError as error:
        raise ConfigError(Code.USAGE, str(error)) from error
    around = None if request.whole else AROUND
    return replace(
        Recipe(cycles), around=around, upright=not request.any_way_up, bf16=request.bf16, seed=request.seed
    )


def _labelled(request: Request) -> "Sequence[Labelled]":
    if request.labels == "pseudo":
        from models.ensemble.pseudo_set import believed

        return believed(request.data, request.least_confidence)
    from models.evaluation.dataset import open_dataset
    from models.labelled import read_labelled

    return read_labelled(open_dataset(request.data).items)


def _source(request: Request) -> tuple[str | None, dict[str, Any]]:
    """Return the method and everything else that the labels are made of, for the ensemble's description."""
    if request.labels == "truth":
        return None, {"masks": "drawn by people or by rule, as the data set says"}
    import json

    from models.ensemble.pseudo_set import RECORD

    record: dict[str, Any] = json.loads((request.data / RECORD).read_text(encoding="utf-8"))
    named = ("bundle", "bundle_version", "bundle_digest", "prompts", "seed")
    settings = record["settings"]
    source = {**{key: record[key] for key in named}, "mode": settings["mode"]}
    return settings["method"], {**source, "least_confidence": request.least_confidence}
