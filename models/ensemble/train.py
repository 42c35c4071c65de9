"""Training of an ensemble, from labelled images to members on disk: nnU-Net through its API, resumable.

Below one working folder lie nnU-Net's raw and preprocessed data and its results. Whatever is finished there
is not done again; a folder that was begun with other images, labels or options is refused.
"""

import hashlib
import io
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.ensemble.framing import Framing
from models.ensemble.plan import CONFIGURATION, DEFAULT, Size, fit, sized
from models.ensemble.raw_dataset import NAME, nnunet_environment, split, write_raw
from models.ensemble.recipe import Recipe
from models.errors import Code, DatasetError, ModelError
from models.evaluation.files import replace_text
from models.labelled import Labelled, identity

if TYPE_CHECKING:
    from models.ensemble.nnunet.cyclic_trainer import CyclicTrainer

logger = logging.getLogger(__name__)

TRAINER = "CyclicTrainer"
PLANS = "nnUNetPlans"
HELD_SHARE = 0.1
"""Of the patients, held back from training: for the curve, the temperature and the review threshold."""

LEAST_MEASURED, MEASURED_SECONDS = 4, 3.0
"""Batches and seconds, at least, by which the cost of one is told: a graphics card needs many to show it."""

Progress = Callable[[int, float, float], None]
"""Told the number of epochs done, the training loss, and the Dice on the labels held back."""


@dataclass(frozen=True)
class Trained:
    """A finished training: its ``plans`` (nnU-Net's, with the recipe), folder and the images held back."""

    plans: dict[str, Any]
    folder: Path
    held: tuple[str, ...]
    size: Size
    recipe: Recipe


def prepare(
    labelled: Sequence[Labelled],
    work: Path,
    recipe: Recipe,
    size: Size | None,
    seconds: float | None,
    device: str = "cpu",
) -> tuple[Size, Recipe]:
    """Write, plan and preprocess the data set below ``work``, once; return what is trained.

    With ``seconds`` the plan (where ``size`` is None) and the iterations of an epoch are those that
    ``device`` gets through in that time. Raises DatasetError (DATASET-INVALID, RUN-MISMATCH).
    """
    begun = work / "begun.json"
    asked = {
        "labels": labels_digest(labelled),
        "recipe": recipe.record(),
        "size": None if size is None else asdict(size),
        "seconds": seconds,
    }
    if begun.is_file():
        kept = json.loads(begun.read_text(encoding="utf-8"))
        if kept["asked"] != json.loads(json.dumps(asked)):
            raise DatasetError(
                Code.RUN_MISMATCH,
                f"{work}: begun with other images, labels or options; give the same, or another folder",
            )
        return _size(kept["size"]), Recipe.read(kept["recipe"])
    with nnunet_environment(work, loaders=1), _quiet():
        first = size or DEFAULT
        plans = _planned(labelled, work, first, recipe)
        size = fit(plans, recipe, seconds, device) if size is None and seconds is not None else first
        if size.side != first.side:
            plans = _planned(labelled, work, size, recipe)
        _preprocess(plans, size, recipe, work)
    if seconds is not None:
        with nnunet_environment(work), _quiet():
            recipe = _filling(recipe, seconds, device)
            _write_plans(work, sized(plans, size, recipe))
    work.mkdir(parents=True, exist_ok=True)
    replace_text(begun, json.dumps({"asked": asked, "size": asdict(size), "recipe": recipe.record()}))
    return size, recipe


def train(work: Path, size: Size, recipe: Recipe, device: str, report: Progress) -> Trained:
    """Train below ``work`` what :func:`prepare` left there, or go on with it.

    Raises ModelError (STORAGE-FULL) when the disk is full: the training goes on from its last epoch once
    there is room. DatasetError (RUN-MISMATCH) when the state in the folder comes from another recipe.
    """
    with nnunet_environment(work), _quiet():
        trainer = _trainer(device)
        trainer.report = report
        trainer.read_state()
        if trainer.current_epoch < trainer.num_epochs:
            try:
                trainer.run_training()
            except OSError as error:
                raise ModelError(
                    Code.STORAGE_FULL,
                    f"{work}: epoch {trainer.current_epoch + 1} could not be written ({error.strerror}); "
                    "make room and run the same command: it goes on from the last epoch that was",
                ) from error
        plans = json.loads(_plans_path(work).read_text(encoding="utf-8"))
        held = json.loads((_preprocessed(work) / "splits_final.json").read_text(encoding="utf-8"))[0]["val"]
        names = dict.fromkeys(Framing(size.side, recipe.around).seen_in(view) for view in held)
        return Trained(plans, trainer.folder, tuple(names), size, recipe)


def labels_digest(labelled: Sequence[Labelled]) -> str:
    """Return a hash of all names, pixels, labels and patients, in any order."""
    lines = []
    for item in labelled:
        mask = hashlib.sha256(np.packbits(item.mask).tobytes()).hexdigest()
        lines.append(f"{item.name} {item.patient} {identity(item.name, item.image).pixels} {mask}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _size(values: dict[str, Any]) -> Size:
    features = values["features"]
    return Size(
        values["side"], None if features is None else tuple(features), values["batch"], values["residual"]
    )


def _planned(labelled: Sequence[Labelled], work: Path, size: Size, recipe: Recipe) -> dict[str, Any]:
    """Write the raw data set at a size and return nnU-Net's plan for it."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments

    patients = write_raw(labelled, work, Framing(size.side, recipe.around))
    _preprocessed(work).mkdir(parents=True, exist_ok=True)
    trained_on, held = split(patients, HELD_SHARE, seed=0)
    _show_a_target(held, labelled, Framing(size.side, recipe.around))
    extract_fingerprints([1], num_processes=1, clean=True, verbose=False, show_progress_bar=False)
    plan_experiments([1])
    splits = json.dumps([{"train": trained_on, "val": held}])
    (_preprocessed(work) / "splits_final.json").write_text(splits, encoding="utf-8")
    plans: dict[str, Any] = json.loads(_plans_path(work).read_text(encoding="utf-8"))
    return plans


def _show_a_target(held: Sequence[str], labelled: Sequence[Labelled], framing: Framing) -> None:
    """Refuse to train for hours what nothing could calibrate. Raises DatasetError (DATASET-INVALID)."""
    names = {framing.seen_in(view) for view in held}
    if not any(item.mask.any() for item in labelled if item.name in names):
        raise DatasetError(
            Code.DATASET_INVALID,
            f"none of the {len(names)} images held back from training shows the target: temperature and "
            "review threshold could not be fitted; give images of more patients with the target",
        )


def _preprocess(plans: dict[str, Any], size: Size, recipe: Recipe, work: Path) -> None:
    from nnunetv2.experiment_planning.plan_and_preprocess_api import preprocess_dataset

    _write_plans(work, sized(plans, size, recipe))
    preprocess_dataset(1, PLANS, (CONFIGURATION,), [1], verbose=False, show_progress_bar=False)


def _filling(recipe: Recipe, seconds: float, device: str) -> Recipe:
    """Return the recipe with epochs that fill ``seconds``, by what real batches take on a device."""
    trainer = _trainer(device)
    trainer.on_train_start()
    trainer.on_train_epoch_start()
    trainer.train_step(next(trainer.dataloader_train))  # the first one is slow
    steps, start = 0, time.perf_counter()
    while steps < LEAST_MEASURED or time.perf_counter() - start < MEASURED_SECONDS:
        trainer.train_step(next(trainer.dataloader_train))
        steps += 1
    each = (time.perf_counter() - start) / steps
    judged = max(1, len(trainer.dataloader_val.data_loader.indices) // trainer.batch_size)
    # A validation step is a forward pass and costs about a third of a training step.
    free = seconds / recipe.cycles.epochs / each - judged / 3
    return replace(recipe, iterations=max(1, int(free)), validation_iterations=judged)


def _trainer(device: str) -> "CyclicTrainer":
    from nnunetv2.run.run_training import get_trainer_from_args

    load_lazy_modules()
    trainer: CyclicTrainer = get_trainer_from_args(
        NAME, CONFIGURATION, 0, TRAINER, PLANS, device=torch.device(device)
    )
    trainer.initialize()
    return trainer


def load_lazy_modules() -> None:
    """Let every loaded module import what it imports when it is first looked at.

    nnU-Net's search for a trainer looks at all of ``sys.modules`` while it iterates over it, and fails where
    a lazy module (monai, scipy and transformers have some) then imports another one.
    """
    seen = 0
    while len(sys.modules) > seen:
        seen = len(sys.modules)
        for module in list(sys.modules.values()):
            if getattr(module, "__file__", None) is None:
                getattr(module, "__path__", None)


def _preprocessed(work: Path) -> Path:
    return work / "preprocessed" / NAME


def _plans_path(work: Path) -> Path:
    return _preprocessed(work) / f"{PLANS}.json"


def _write_plans(work: Path, plans: dict[str, Any]) -> None:
    replace_text(_plans_path(work), json.dumps(plans, indent=1))


@contextmanager
def _quiet() -> Iterator[None]:
    """Send to the log what nnU-Net prints."""
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        for line in printed.getvalue().splitlines():
            logger.debug(line)
