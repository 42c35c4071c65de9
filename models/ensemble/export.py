"""A finished training as an ensemble's folder: members, plan, calibration and what it learnt from.

The temperature and the review threshold come from labels that were held back from training. Where those are
pseudo-labels, they tell how well the members agree with the method, not with the truth.
"""

import csv
import io
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image as Pillow

from models.bundles.files import sha256_of
from models.ensemble.members import member_path, members_in
from models.ensemble.plan import CONFIGURATION
from models.ensemble.recipe import SECTION
from models.ensemble.record import DESCRIPTION, EnsembleRecord, read_record
from models.ensemble.train import Trained
from models.errors import Code, ModelError
from models.evaluation.files import replace_text
from models.labelled import Labelled
from models.segmenters.prompts import tight_box
from models.uncertainty import THRESHOLD, entropy, tempered

PLAN, NAMES, CURVE = "plans.json", "trained-on.csv", "learning-curve.png"

CURVE_SIDE = 1400
"""Pixels of the longer side of the learning curve's picture."""

REVIEW_SHARE = 0.9
"""So many of the results held back stay below the review threshold."""


@dataclass(frozen=True)
class Purpose:
    """What an ensemble is for, as its description says it."""

    task: str
    prompts: tuple[str, ...]
    labels: str
    method: str | None
    source: Mapping[str, Any]
    licence: str = "Apache-2.0"
    version: str = "1.0.0"


def export(
    trained: Trained, labelled: Sequence[Labelled], purpose: Purpose, out: Path, device: str
) -> EnsembleRecord:
    """Write the ensemble's folder and return what it says; ``device`` judges what was held back.

    Raises ModelError (ENSEMBLE-EMPTY); DatasetError (DATASET-INVALID): no image held back shows a target.
    """
    entries = []
    for epoch, path in members_in(trained.folder).items():
        kept = member_path(out, epoch)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, kept)
        entries.append({"path": str(kept.relative_to(out)), "epoch": epoch, "sha256": sha256_of(kept)})
    if not entries:
        raise ModelError(Code.ENSEMBLE_EMPTY, f"{trained.folder}: the training left no member")
    plans = _plans(trained)
    replace_text(out / PLAN, json.dumps(plans, indent=1, sort_keys=True) + "\n")
    curve = trained.folder / "progress.png"
    if curve.is_file():
        _write_curve(curve, out / CURVE)
    _write_names(out / NAMES, labelled, trained.held)
    description = {
        "name": purpose.task,
        "version": purpose.version,
        "task": purpose.task,
        "prompts": list(purpose.prompts),
        "labels": purpose.labels,
        "method": purpose.method,
        "licence": purpose.licence,
        "source": f"trained by `textseg train {purpose.task} --labels {purpose.labels}`",
        "side": trained.size.side,
        "around": trained.recipe.around,
        "plans": {"path": PLAN, "sha256": sha256_of(out / PLAN)},
        "temperature": 1.0,
        "review": 0.5,
        "recipe": trained.recipe.record(),
        "labels-from": dict(purpose.source),
        "members": entries,
    }
    _write(out, description)
    _calibrate(out, description, [item for item in labelled if item.name in set(trained.held)], device)
    return read_record(out)


def _calibrate(out: Path, description: dict[str, Any], held: Sequence[Labelled], device: str) -> None:
    """Fit temperature and review threshold on what was held back, and write the description again."""
    from models.ensemble.vote import CheckpointEnsemble
    from models.evaluation.calibration import fit_temperature

    ensemble = CheckpointEnsemble(read_record(out))
    regions = [tight_box(item.mask) if item.mask.any() else None for item in held]
    answers = ensemble.predict([item.image for item in held], regions=regions, device=device)
    agreed = [agreement.probability for agreement, _ in answers]
    temperature = fit_temperature([(own, item.mask) for own, item in zip(agreed, held, strict=True)])
    scores = [
        float(entropy(tempered(one, temperature))[mask].mean())
        for one in agreed
        if (mask := one > THRESHOLD).any()
    ]
    review = float(np.quantile(scores, REVIEW_SHARE)) if scores else 0.5
    _write(out, description | {"temperature": round(temperature, 4), "review": round(review, 4)})


def _plans(trained: Trained) -> dict[str, Any]:
    """Return what a plan needs to say to judge images: nothing about this machine or the training's cases."""
    kept = ("dataset_name", "plans_name", "original_median_spacing_after_transp", "image_reader_writer",
            "transpose_forward", "transpose_backward", "experiment_planner_used", "label_manager",
            "foreground_intensity_properties_per_channel", "original_median_shape_after_transp")  # fmt: skip
    plans = {key: trained.plans[key] for key in kept if key in trained.plans}
    configuration = trained.plans["configurations"][CONFIGURATION]
    return {**plans, "configurations": {CONFIGURATION: configuration}, SECTION: trained.plans[SECTION]}


def _write(out: Path, description: Mapping[str, Any]) -> None:
    replace_text(
        out / DESCRIPTION, yaml.safe_dump(dict(description), sort_keys=False, allow_unicode=True, width=110)
    )


def _write_curve(drawn: Path, path: Path) -> None:
    """Reduce nnU-Net's poster of a training to what fits a screen."""
    with Pillow.open(drawn) as picture:
        picture.thumbnail((CURVE_SIDE, CURVE_SIDE))
        picture.convert("P", palette=Pillow.Palette.ADAPTIVE).save(path, optimize=True)


def _write_names(path: Path, labelled: Iterable[Labelled], held: Iterable[str]) -> None:
    back = set(held)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("name", "used"))
    for item in sorted(labelled, key=lambda one: one.name):
        rows.writerow((item.name, "held-back" if item.name in back else "trained"))
    replace_text(path, text.getvalue())
