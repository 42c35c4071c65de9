"""The losses against each other: same pairs, same start, same batches, several seeds.

Each seed is another split by patient, another start of the projections and another order. Judged is the last
epoch, never the best: choosing an epoch on the held-out pairs would flatter whoever varies most.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path

import numpy as np
from scipy import stats

from models.finetune.captions import Captions
from models.finetune.checkpoint import Epoch
from models.finetune.recipe import COMPARED, LossName, Recipe
from models.finetune.train import Listener, fine_tune
from models.finetune.trainable import Trainable

FIGURES = ("i2t top-1", "i2t top-2", "t2i top-1", "t2i top-2")
UNTRAINED = "untrained"


@dataclass(frozen=True)
class Interval:
    """Mean over the seeds with its 95 % interval by Student's t; the interval is None for a single seed."""

    mean: float
    ci95: tuple[float, float] | None


@dataclass(frozen=True)
class Compared:
    """One loss: accuracies by direction and rank, and what they are above those of the first loss, by seed.

    ``tolerant`` accepts equal captions; where no caption repeats it equals ``strict``.
    """

    loss: str
    tolerant: dict[str, Interval]
    strict: dict[str, Interval]
    difference: dict[str, Interval]


def interval(values: Sequence[float]) -> Interval:
    """Return mean and 95 % interval of independent values."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, None)
    half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / sqrt(len(values)))
    return Interval(mean, (mean - half, mean + half))


def compare(
    start: Callable[[int], Trainable],
    captions: Captions,
    recipe: Recipe,
    seeds: int,
    folder: Path,
    told: Callable[[str, int], Listener],
    resume: bool = False,
) -> list[Compared]:
    """Fine-tune once per loss and seed, and return one row per loss, the untrained model first.

    Parameters
    ----------
    start
        Returns the model that a seed begins with, the same for every loss.
    captions, recipe, folder, resume
        See :func:`models.finetune.train.fine_tune`; each run has a folder of its own under ``folder``.
    seeds
        How many, from 0.
    told
        Returns who is told about the run of a loss and a seed.
    """
    last: dict[str, list[Epoch]] = {UNTRAINED: [], **{loss: [] for loss in COMPARED}}
    for seed in range(seeds):
        for loss in COMPARED:
            own = replace(recipe, loss=loss, seed=seed, judge_every=recipe.epochs)
            place = folder / f"{loss}-seed-{seed}"
            epochs = fine_tune(start(seed), captions, own, place, told(loss, seed), resume).epochs
            last[loss].append(epochs[-1])
        last[UNTRAINED].append(epochs[0])
    return [_compared(loss, epochs, last[COMPARED[0]]) for loss, epochs in last.items()]


def _compared(loss: LossName | str, epochs: Sequence[Epoch], reference: Sequence[Epoch]) -> Compared:
    tolerant, strict = _columns(epochs, tolerant=True), _columns(epochs, tolerant=False)
    against = _columns(reference, tolerant=True)
    above = {name: np.subtract(tolerant[name], against[name]).tolist() for name in FIGURES}
    return Compared(loss, *({n: interval(v) for n, v in one.items()} for one in (tolerant, strict, above)))


def _columns(epochs: Sequence[Epoch], tolerant: bool) -> dict[str, list[float]]:
    judged = [(epoch.tolerant if tolerant else None) or epoch.strict or {} for epoch in epochs]
    return {name: [one[name] for one in judged] for name in FIGURES}
