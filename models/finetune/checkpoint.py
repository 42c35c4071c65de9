"""The state of an unfinished fine-tuning on disk: whole or not there at all.

A state is written into a folder of its own that gets its name when everything is in it; older ones go
afterwards. Weights are safetensors, the optimiser's state is read with ``weights_only``.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.errors import Code, DatasetError

PREFIX = "step-"


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to: mean loss, and retrieval on the held-out pairs where it was judged.

    Epoch 0 is the start, without a loss. ``score`` is the mean top-1 accuracy of both directions, with equal
    captions accepted; ``strict`` and ``tolerant`` are accuracies by direction and rank.
    """

    epoch: int
    loss: float | None
    score: float | None = None
    strict: dict[str, float] | None = None
    tolerant: dict[str, float] | None = None


@dataclass(frozen=True)
class Progress:
    """How far training is: optimiser steps done, losses of the epoch under way, finished epochs."""

    step: int = 0
    losses: tuple[float, ...] = ()
    epochs: tuple[Epoch, ...] = ()

    @property
    def best(self) -> Epoch:
        """The judged epoch of the highest score, the first of equals."""
        return max((one for one in self.epochs if one.score is not None), key=lambda one: one.score or 0.0)


@dataclass(frozen=True)
class Checkpoint:
    """Everything that training needs to go on."""

    progress: Progress
    weights: Mapping[str, Tensor]
    optimiser: dict[str, Any] = field(default_factory=dict)


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and drop the older ones."""
    name = f"{PREFIX}{checkpoint.progress.step:08d}"
    partial = folder / f".{name}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(dict(checkpoint.weights), partial / "weights.safetensors")
    torch.save(checkpoint.optimiser, partial / "optimiser.pt")
    write_json(partial / "progress.json", asdict(checkpoint.progress))
    for file in partial.iterdir():
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    shutil.rmtree(folder / name, ignore_errors=True)
    partial.rename(folder / name)
    for other in _all(folder):
        if other.name != name:
            shutil.rmtree(other)


def latest(folder: Path) -> Checkpoint | None:
    """Return the newest whole checkpoint under ``folder``, or None."""
    found = _all(folder)
    if not found:
        return None
    newest = found[-1]
    content = json.loads((newest / "progress.json").read_text(encoding="utf-8"))
    epochs = tuple(Epoch(**one) for one in content["epochs"])
    return Checkpoint(
        Progress(content["step"], tuple(content["losses"]), epochs),
        load_file(newest / "weights.safetensors"),
        torch.load(newest / "optimiser.pt", map_location="cpu", weights_only=True),
    )


def begin(folder: Path, identity: Mapping[str, str], resume: bool) -> None:
    """Claim ``folder`` for a run, or make sure that it holds this very run where it is resumed.

    Raises
    ------
    DatasetError
        RUN-MISMATCH: the folder holds a run and ``resume`` is False, or a run of another recipe, of other
        data or from other weights.
    """
    path = folder / "run.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, identity)
        return
    if not resume:
        message = f"{folder} holds a run already; go on with --resume, or give another folder"
        raise DatasetError(Code.RUN_MISMATCH, message)
    known = json.loads(path.read_text(encoding="utf-8"))
    changed = [part for part, value in identity.items() if known.get(part) != value]
    if changed:
        message = f"{folder} holds a run with another {' and '.join(changed)}; give another folder"
        raise DatasetError(Code.RUN_MISMATCH, message)


def write_json(path: Path, content: Any) -> None:  # noqa: ANN401 (plain values)
    """Write plain values as JSON, in one go."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.rename(path)


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{PREFIX}*"))
