"""The report of an evaluation as JSON, with the keys that programs outside rely on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.evaluation.calibration import expected_calibration_error, retention_area
from models.evaluation.files import replace_text
from models.evaluation.run import Scored, statuses
from models.evaluation.statistics import Estimate, estimate

SCHEMA_VERSION = 1
METRICS = ("dsc", "nsd", "iou", "auc", "foreground_fraction", "uncertainty")
STAGES = ("map", "components", "sam")


@dataclass(frozen=True)
class Heading:
    """What was run: the part of the report that does not depend on the images.

    ``prompt`` is what was asked in one text; ``prompts`` its wordings, empty where each image has its own.
    ``settings`` is the method's effective configuration. ``baseline`` names what was asked in the method's
    place; ``notes`` are sentences that a reader of the figures must know, such as which labels were used.
    """

    bundle: str
    bundle_version: str
    bundle_digest: str
    method: str
    mode: str
    prompt: str
    prompts: tuple[str, ...]
    task: str | None
    ensemble: str
    software_version: str
    seed: int
    nsd_tolerance_px: float
    settings: Mapping[str, Any]
    baseline: str | None = None
    notes: tuple[str, ...] = ()


def summarise(scored: Sequence[Scored]) -> dict[str, Estimate]:
    """Return mean and interval of every metric of the rows, by the metric's name.

    Where probabilities are known, beside them ``ece`` and ``aurc`` of all images together
    (:mod:`models.evaluation.calibration`).
    """
    patients = [image.patient for image in scored]
    summary = {
        metric: estimate([getattr(image.row, metric) for image in scored], patients) for metric in METRICS
    }
    judged = [image.calibration for image in scored]
    if any(judged):
        summary["ece"] = expected_calibration_error(judged, patients)
        summary["aurc"] = retention_area(judged, patients)
    return summary


def summarise_stages(scored: Sequence[Scored]) -> dict[str, Estimate]:
    """Return mean DSC and interval after each stage, by the stage's name."""
    patients = [image.patient for image in scored]
    return {stage: estimate([getattr(image.stages, stage) for image in scored], patients) for stage in STAGES}


def build(heading: Heading, scored: Sequence[Scored]) -> dict[str, Any]:
    """Return the report: the contract's keys, and beside them what makes it reproducible.

    ``nsd_slab``, the papers' NSD, is there only where it was asked for.
    """
    absent = [image for image in scored if image.absent]
    report: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        **asdict(heading),
        "seconds_per_image": sum(image.seconds for image in scored) / len(scored),
        "counts": {
            "images": len(scored),
            "patients": len({image.patient for image in scored}),
            **statuses(scored),
            "target_absent": len(absent),
            "target_absent_and_found": statuses(absent)["found"],
        },
        "summary": {metric: asdict(value) for metric, value in summarise(scored).items()},
        "stages": {stage: {"dsc": asdict(value)} for stage, value in summarise_stages(scored).items()},
        "images": [asdict(image.row) for image in scored],
        "patients": {image.row.name: image.patient for image in scored},
    }
    if any(image.nsd_slab is not None for image in scored):
        patients = [image.patient for image in scored]
        report["nsd_slab"] = asdict(estimate([image.nsd_slab for image in scored], patients))
    return report


def to_json(report: Mapping[str, Any]) -> str:
    """Return the report as text; NaN, which JSON does not have, is an error."""
    return json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write(path: Path, report: Mapping[str, Any]) -> None:
    """Write the report so that the file is never half a report."""
    replace_text(path, to_json(report))
