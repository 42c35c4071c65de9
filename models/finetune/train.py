"""The fine-tuning loop: seeded by step, so that wherever it is cut off, the same weights come out."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models.evaluation.retrieval import Directions, retrieve
from models.finetune.captions import Captions, Pair
from models.finetune.checkpoint import Checkpoint, Epoch, Progress, begin, latest, save, write_json
from models.finetune.recipe import Recipe
from models.finetune.split import Split, split
from models.finetune.trainable import Trainable

WEIGHTS = "best.safetensors"
RECIPE = "recipe.json"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Outcome:
    """A finished fine-tuning: where the best weights are, and what every epoch came to."""

    weights: Path
    epochs: tuple[Epoch, ...]
    best: Epoch
    split: Split


@dataclass(frozen=True)
class Listener:
    """Who is told: images prepared of all, steps done of all with the last loss."""

    prepared: Callable[[int, int], None] = lambda _, __: None
    stepped: Callable[[int, int, float], None] = lambda _, __, ___: None


def fine_tune(
    model: Trainable,
    captions: Captions,
    recipe: Recipe,
    folder: Path,
    listener: Listener | None = None,
    resume: bool = False,
    save_every: int = 200,
) -> Outcome:
    """Train ``model`` on pairs and leave the weights of the best epoch under ``folder``.

    The best epoch is the one with the highest retrieval score on the held-out patients, the untouched
    model (epoch 0) included. A checkpoint is written every ``save_every`` steps and at each epoch's end.

    Raises
    ------
    DatasetError
        RUN-MISMATCH: see :func:`models.finetune.checkpoint.begin`. DATASET-INVALID: too few pairs or
        patients to split.
    """
    listener = listener or Listener()
    parts = split(captions.pairs, recipe.held_out, recipe.seed)
    begin(folder, _identity(model, captions, recipe), resume)
    model.prepare([pair.image for pair in captions.pairs], listener.prepared)
    run = _Run(model, parts, recipe, folder)
    run.go_on(listener, save_every)
    best = run.progress.best
    write_json(folder / RECIPE, _account(captions, parts, recipe, run.progress))
    return Outcome(folder / WEIGHTS, run.progress.epochs, best, parts)


class _Run:
    """Model, optimiser and progress of one run."""

    def __init__(self, model: Trainable, parts: Split, recipe: Recipe, folder: Path) -> None:
        self.model, self.parts, self.recipe, self.folder = model, parts, recipe, folder
        self.learning = [p for _, p in model.named_parameters() if p.requires_grad]
        self.optimiser = _optimiser(self.learning, recipe)
        self.progress = Progress()
        self.per_epoch = len(batches(len(parts.train), recipe, 1))
        self.steps = self.per_epoch * recipe.epochs
        found = latest(folder / CHECKPOINTS)
        if found is not None:
            model.restore(found.weights)
            self.optimiser.load_state_dict(found.optimiser)
            self.progress = found.progress

    def go_on(self, listener: Listener, save_every: int) -> None:
        """Train from where the run is to its end."""
        if not self.progress.epochs:
            self._finish_epoch(0)
        while self.progress.step < self.steps:
            loss = self._step()
            done = self.progress.step
            if done % self.per_epoch == 0:
                self._finish_epoch(done // self.per_epoch)
            elif done % save_every == 0:
                self._save()
            listener.stepped(done, self.steps, loss)

    def _step(self) -> float:
        step, recipe = self.progress.step, self.recipe
        epoch, index = divmod(step, self.per_epoch)
        chosen = [self.parts.train[i] for i in batches(len(self.parts.train), recipe, epoch + 1)[index]]
        for group in self.optimiser.param_groups:
            group["lr"] = rate(recipe, step, self.steps)
        self.model.train()
        with seeded(recipe.seed, step):
            loss = self._loss(chosen)
            self.optimiser.zero_grad()
            loss.backward()
        if recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.learning, recipe.clip)
        self.optimiser.step()
        value = float(loss.detach())
        self.progress = replace(self.progress, step=step + 1, losses=(*self.progress.losses, value))
        return value

    def _loss(self, pairs: Sequence[Pair]) -> Tensor:
        captions = [pair.caption for pair in pairs]
        device = self.learning[0].device
        with torch.autocast(device.type, torch.bfloat16, enabled=_mixed(self.recipe, device)):
            image = self.model.image_rows([pair.image for pair in pairs])
            text = self.model.text_rows(captions)
        same = torch.tensor([[one == other for other in captions] for one in captions], device=device)
        return self.recipe.loss_of(image, text, same)

    def _finish_epoch(self, number: int) -> None:
        """Judge the epoch, keep its weights if they are the best so far, and save."""
        losses = self.progress.losses
        loss = sum(losses) / len(losses) if losses else None
        last = number == self.recipe.epochs
        judged = number % self.recipe.judge_every == 0 or last
        epoch = self._judged(number, loss) if judged else Epoch(number, loss)
        self.progress = replace(self.progress, losses=(), epochs=(*self.progress.epochs, epoch))
        if self.progress.best is epoch:
            _write_weights(self.folder / WEIGHTS, self.model, self.recipe, epoch)
        self._save()

    def _judged(self, number: int, loss: float | None) -> Epoch:
        result = retrieve(
            *embed(self.model, self.parts.held_out, self.recipe.batch),
            [pair.caption for pair in self.parts.held_out],
        )
        tolerant = figures(result.tolerant) if result.tolerant else None
        return Epoch(number, loss, result.score, figures(result.strict), tolerant)

    def _save(self) -> None:
        state = self.optimiser.state_dict()
        save(self.folder / CHECKPOINTS, Checkpoint(self.progress, self.model.state(), state))


@torch.no_grad()
def embed(model: Trainable, pairs: Sequence[Pair], batch: int) -> tuple[Tensor, Tensor]:
    """Return image and text rows (N, D) of pairs, with nothing random."""
    model.train(False)
    parts = [pairs[start : start + batch] for start in range(0, len(pairs), batch)]
    image = torch.cat([model.image_rows([pair.image for pair in part]).float().cpu() for part in parts])
    text = torch.cat([model.text_rows([pair.caption for pair in part]).float().cpu() for part in parts])
    return image, text


def figures(found: Directions) -> dict[str, float]:
    """Return the accuracies by direction and rank."""
    there, back = found.image_to_text, found.text_to_image
    return {"i2t top-1": there.top1, "i2t top-2": there.top2, "t2i top-1": back.top1, "t2i top-2": back.top2}


def batches(count: int, recipe: Recipe, epoch: int) -> list[list[int]]:
    """Return the shuffled indices of one epoch, counted from 1, in batches; a last single one is left out."""
    order = np.random.default_rng((recipe.seed, epoch)).permutation(count).tolist()
    parts = [order[start : start + recipe.batch] for start in range(0, count, recipe.batch)]
    return [part for part in parts if len(part) > 1]


def rate(recipe: Recipe, step: int, steps: int) -> float:
    """Return the learning rate of a step, counted from 0."""
    rising = round(recipe.warm_up * steps)
    if step < rising:
        return recipe.rate * (step + 1) / rising
    if recipe.schedule == "constant":
        return recipe.rate
    return recipe.rate * 0.5 * (1.0 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


@contextmanager
def seeded(seed: int, step: int) -> Iterator[None]:
    """Let torch draw by seed and step alone, whatever was drawn before, and leave its state as it was."""
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices):
        torch.manual_seed(int(np.random.default_rng((seed, step)).integers(2**62)))
        yield


def _mixed(recipe: Recipe, device: torch.device) -> bool:
    if recipe.precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return recipe.precision == "bfloat16"


def _optimiser(learning: Sequence[nn.Parameter], recipe: Recipe) -> torch.optim.AdamW:
    groups = [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": recipe.decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.rate, betas=recipe.moments, eps=recipe.epsilon)


def _identity(model: Trainable, captions: Captions, recipe: Recipe) -> dict[str, str]:
    """Return what must not change between a run and its continuation."""
    data = hashlib.sha256()
    for pair in captions.pairs:
        data.update(repr((pair.caption, pair.patient)).encode())
        data.update(hashlib.sha256(pair.image.read_bytes()).digest())
    numbers = json.dumps(recipe.record(), sort_keys=True)
    return {"recipe": numbers, "data": data.hexdigest(), "starting weights": model.identity}


def _write_weights(path: Path, model: Trainable, recipe: Recipe, epoch: Epoch) -> None:
    metadata = {
        "software": f"textseg {version('textseg')}",
        "recipe": json.dumps(recipe.record(), sort_keys=True),
        "epoch": str(epoch.epoch),
        "held-out retrieval": str(epoch.score),
    }
    partial = path.with_suffix(".partial")
    save_file({name: values.cpu() for name, values in model.weights().items()}, partial, metadata)
    partial.rename(path)


def _account(captions: Captions, parts: Split, recipe: Recipe, progress: Progress) -> dict[str, Any]:
    """Return what is recorded beside the weights."""
    return {
        "recipe": recipe.record(),
        "cleaning": captions.cleaning.record(),
        "pairs": {
            "train": len(parts.train),
            "held out": len(parts.held_out),
            "left out, caption too short": captions.too_short,
        },
        "patients": {
            "train": len({pair.patient for pair in parts.train}),
            "held out": len({pair.patient for pair in parts.held_out}),
        },
        "best epoch": progress.best.epoch,
        "epochs": [asdict(epoch) for epoch in progress.epochs],
    }
