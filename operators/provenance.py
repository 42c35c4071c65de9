"""Where a result comes from: everything that decides its voxels, and the UIDs and texts that follow."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from models.bundles.record import ModelRecord
from models.ensemble.isolated import LEAST_MM, SHARE
from operators.identifiers import own_uid
from operators.task import Task

NOT_FOR_DIAGNOSTIC_USE = "NOT FOR DIAGNOSTIC USE"
DESCRIPTION_MAX_CHARACTERS = 64
FIRST_SERIES_NUMBER = 9000
SERIES_NUMBERS = 1000
REVIEW_ENTROPY_BITS = 0.5
"""A mask whose mean entropy is above this (a mean probability of about 0.89) is marked [REVIEW].

Where an ensemble votes, its own threshold holds (:mod:`models.ensemble.export`).
"""

OVERLAP = {
    "binary": "each target is decided alone; a voxel may belong to several segments",
    "labelmap": "each target is decided alone; a voxel of several belongs to the first of them in the task",
}
"""What becomes of a voxel that several targets claim, by the task's ``segmentation_type``."""


@dataclass(frozen=True)
class Provenance:
    """The task, the bundle, the settings and the moment that a result is made of.

    ``settings`` is the effective configuration of the method (JSON-able). ``voters`` says, by segment label,
    whose votes decided: the method's own members, or the checkpoints of an ensemble. A result whose mean
    entropy over the mask is above ``review_above`` bits is marked for review. ``quiet_at`` is the
    moment the study became quiet, the only source of dates and times. ``generation`` counts restarts caused
    by late instances; ``replaces`` is then the "hh:mm" of the result that this one replaces. ``asked`` says,
    by segment label, how many members a vote that may end early asked on a plane: what came out of the
    settings, and therefore no part of UIDs.
    """

    task: Task
    bundle: str
    bundle_version: str
    bundle_digest: str
    models: tuple[ModelRecord, ...]
    settings: Mapping[str, object]
    software_version: str
    quiet_at: datetime
    generation: int = 0
    replaces: str | None = None
    voters: Mapping[str, str] = field(default_factory=dict)
    review_above: float = REVIEW_ENTROPY_BITS
    asked: Mapping[str, str] = field(default_factory=dict)

    @property
    def prompts(self) -> tuple[tuple[str, ...], ...]:
        """Wordings, one group per target."""
        return tuple(target.prompts for target in self.task.targets)

    @property
    def algorithm(self) -> str:
        """AlgorithmName: method and mode."""
        return f"{self.task.method} ({self.task.mode})"

    def configuration(self, window: str) -> dict[str, object]:
        """Return everything but the images and the models that decides the voxels, for record and UID."""
        return {
            "method": self.task.method,
            "mode": self.task.mode,
            "prompts": [list(group) for group in self.prompts],
            "segments": [target.segment.label for target in self.task.targets],
            "overlap": OVERLAP[self.task.segmentation_type],
            "window": window,
            "threshold": "mean probability over members > 0.5",
            "voters": dict(self.voters),
            "review": f"mean entropy over the mask above {self.review_above:g} bits",
            "isolated": f"removed: under {LEAST_MM:g} mm along the slices and {SHARE:g} of the largest",
            "seed": self.task.seed,
            **self.settings,
        }

    def instance_uid(self, kind: str, sources: Sequence[str], window: str) -> str:
        """Return the SOP Instance UID of the result of ``kind`` made of the images ``sources``.

        ``sources`` are SOP Instance UIDs (a frame as ``UID#frame``) in any order.
        """
        return own_uid(
            {
                "kind": kind,
                "sources": sorted(sources),
                "task": self.task.name,
                "targets": [target.model_dump(mode="json") for target in self.task.targets],
                "bundle": self.bundle_digest,
                "configuration": self.configuration(window),
                "software": self.software_version,
                "seed": self.task.seed,
                "generation": self.generation,
            }
        )

    def series_description(self, kind: str, review: bool = False) -> str:
        """Return ``AI <task> [REVIEW] <kind> - NOT FOR DIAGNOSTIC USE (replaces hh:mm)``.

        At most 64 characters. Where all of it does not fit, the task's name is cut: the warning never is.
        """
        before = " [REVIEW]" if review else ""
        after = f" (replaces {self.replaces})" if self.replaces else ""
        rest = f"{before} {kind} - {NOT_FOR_DIAGNOSTIC_USE}{after}"
        room = DESCRIPTION_MAX_CHARACTERS - len("AI ") - len(rest)
        return f"AI {self.task.name[:room]}{rest}"

    def series_number(self, kind: str, series_instance_uid: str) -> int:
        """Return 9000 plus an offset that is the same in every run of this task on this series."""
        text = f"{self.task.name}/{kind}/{series_instance_uid}".encode()
        return FIRST_SERIES_NUMBER + int.from_bytes(hashlib.sha256(text).digest()[:4], "big") % SERIES_NUMBERS

    def record(self, window: str) -> str:
        """Return the full configuration as JSON, for AlgorithmParameters and image comments."""
        content = {
            "bundle": f"{self.bundle} {self.bundle_version}",
            "bundle_digest": self.bundle_digest,
            "software": self.software_version,
            "models": {model.name: model.sha256 for model in self.models},
            **self.configuration(window),
        }
        if self.asked:
            content["members_asked"] = dict(self.asked)
        return json.dumps(content, ensure_ascii=True, sort_keys=True)
