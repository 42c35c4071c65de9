"""A trained ensemble as a folder: what it was trained for, nnU-Net's plan, and its members by SHA-256.

An ensemble answers the prompts that it was trained for and no other: what it learnt is one target, not words.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from models.bundles.files import sha256_of
from models.bundles.record import ModelRecord
from models.ensemble.framing import Framing
from models.errors import Code, ModelError

DESCRIPTION = "ensemble.yaml"
REQUIRED = (
    "name",
    "version",
    "task",
    "prompts",
    "labels",
    "side",
    "plans",
    "temperature",
    "review",
    "members",
)


@dataclass(frozen=True)
class MemberFile:
    """One checkpoint: its file, the number of its epoch from 1, its SHA-256."""

    path: Path
    epoch: int
    sha256: str


@dataclass(frozen=True)
class EnsembleRecord:
    """What an ensemble's folder says.

    Attributes
    ----------
    digest
        SHA-256 of the description, which names plan and members by hash.
    task, prompts
        The task it was trained for, and every wording that it may answer.
    labels
        ``pseudo`` or ``truth``.
    method
        The method whose pseudo-labels it learnt; None after true masks.
    framing
        What it sees of an image.
    plans
        nnU-Net's plan: network, patch, normalisation.
    temperature
        Divides the logit of the members' mean; fitted on labels held back from training.
    review
        Mean entropy over the mask, in bits, above which a result asks for a review.
    """

    name: str
    version: str
    digest: str
    task: str
    prompts: frozenset[str]
    labels: str
    method: str | None
    framing: Framing
    plans: Path
    temperature: float
    review: float
    members: tuple[MemberFile, ...]
    licence: str
    source: str

    def answers(self, prompts: Sequence[str], method: str) -> bool:
        """Whether every wording is one that this ensemble was trained for, by labels of this method."""
        return bool(prompts) and self.prompts.issuperset(prompts) and self.method in (method, None)

    def in_turn(self) -> tuple[MemberFile, ...]:
        """Return the members of different cycles in turn, the last of each first.

        Neighbours of one cycle resemble each other: a vote that may end early should hear all cycles before.
        """
        cycles: list[list[MemberFile]] = []
        for member in self.members:
            if cycles and member.epoch - cycles[-1][-1].epoch == 1:
                cycles[-1].append(member)
            else:
                cycles.append([member])
        longest = max(len(cycle) for cycle in cycles)
        turns = ([cycle[-turn] for cycle in cycles if turn <= len(cycle)] for turn in range(1, longest + 1))
        return tuple(member for turn in turns for member in turn)

    def model(self) -> ModelRecord:
        """Return what a result says about this ensemble."""
        return ModelRecord(f"ensemble {self.name}", self.version, self.digest, self.licence, self.source)


def read_record(folder: Path) -> EnsembleRecord:
    """Return what the folder of an ensemble says, after checking that every file is there and unaltered.

    Raises ModelError: BUNDLE-INVALID, MODEL-MISSING, MODEL-HASH-MISMATCH, ENSEMBLE-EMPTY.
    """
    path = folder / DESCRIPTION
    try:
        content = path.read_bytes()
        values = yaml.safe_load(content)
    except FileNotFoundError as error:
        raise ModelError(Code.MODEL_MISSING, f"{path}: there is no ensemble in this folder") from error
    except yaml.YAMLError as error:
        raise ModelError(Code.BUNDLE_INVALID, f"{path}: not YAML ({error})") from error
    lacking = [key for key in REQUIRED if not isinstance(values, dict) or key not in values]
    if lacking:
        raise ModelError(Code.BUNDLE_INVALID, f"{path}: no {', '.join(lacking)} in it")
    members = tuple(_member(folder, entry) for entry in values["members"])
    if not members:
        raise ModelError(Code.ENSEMBLE_EMPTY, f"{path}: an ensemble without members; install it again")
    plans = _verified(folder / values["plans"]["path"], values["plans"]["sha256"])
    return EnsembleRecord(
        name=values["name"],
        version=str(values["version"]),
        digest=hashlib.sha256(content).hexdigest(),
        task=values["task"],
        prompts=frozenset(values["prompts"]),
        labels=values["labels"],
        method=values.get("method"),
        framing=Framing(int(values["side"]), values.get("around")),
        plans=plans,
        temperature=float(values["temperature"]),
        review=float(values["review"]),
        members=members,
        licence=values.get("licence", "not stated"),
        source=values.get("source", "trained by `textseg train`"),
    )


def _member(folder: Path, entry: Mapping[str, Any]) -> MemberFile:
    return MemberFile(
        _verified(folder / entry["path"], entry["sha256"]), int(entry["epoch"]), entry["sha256"]
    )


def _verified(path: Path, expected: str) -> Path:
    if not path.is_file():
        raise ModelError(
            Code.MODEL_MISSING, f"{path}: this part of the ensemble is missing; install it again"
        )
    actual = sha256_of(path)
    if actual != expected:
        message = f"{path}: SHA-256 is {actual}, expected {expected}; the file is refused, install it again"
        raise ModelError(Code.MODEL_HASH_MISMATCH, message)
    return path
