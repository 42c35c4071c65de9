"""Finished parts of a cross-fit on disk, so that an interrupted one goes on where it stopped.

A part is known by the head's bytes, the method's settings, the software version and what is asked. Code that
changes without any of these needs a new folder, or an empty one.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models.errors import Code
from models.evaluation.calibration import Calibration
from models.evaluation.files import replace_text
from models.evaluation.run import Row, Scored, StageScores
from models.evaluation.words import Agreement, Count, Words
from models.settings import Settings


def key(head: Path, settings: Settings, *about: object) -> str:
    """Return the name of a part: what it depends on, hashed."""
    record = json.dumps([settings.record(), version("textseg"), *map(repr, about)], sort_keys=True)
    return hashlib.sha256(head.read_bytes() + record.encode()).hexdigest()[:16]


def kept(path: Path, compute: Callable[[], Any]) -> Any:  # noqa: ANN401, what JSON holds
    """Return the JSON in a file, computed and written first where it is not there."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(compute()))
    return json.loads(path.read_text(encoding="utf-8"))


def scored_to_json(scored: Mapping[str, Sequence[Scored]]) -> dict[str, Any]:
    """Return scored images by set as plain values."""
    return {origin: [asdict(one) for one in own] for origin, own in scored.items()}


def scored_from_json(stored: Mapping[str, Any]) -> dict[str, list[Scored]]:
    """Return what :func:`scored_to_json` was given."""
    return {origin: [_scored(one) for one in own] for origin, own in stored.items()}


def _scored(stored: Mapping[str, Any]) -> Scored:
    row = dict(stored["row"])
    row["code"] = None if row["code"] is None else Code(row["code"])
    judged = stored["calibration"]
    return Scored(
        **{
            **stored,
            "row": Row(**row),
            "stages": StageScores(**stored["stages"]),
            "calibration": None if judged is None else Calibration.read(judged),
        }
    )


def words_from_json(stored: Mapping[str, Any]) -> dict[str, Words]:
    """Return the counts of words by set from their plain values."""
    return {
        origin: Words(
            {kind: Count(**count) for kind, count in own["kinds"].items()}, Agreement(**own["agreement"])
        )
        for origin, own in stored.items()
    }
