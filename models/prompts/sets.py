"""Prompts by task and kind, as MedCLIP-SAMv2 (section 4.3.1) and SaLIP (section 4.2) tell kinds apart.

====  ==================================================================================
P0    the class name
P1    the subtype's name
P2    one sentence that describes the class
P3    one sentence that describes the subtype
P4    the mean embedding of twenty sentences of kind P2
P5    the mean embedding of twenty sentences of kind P3
VDT   SaLIP's visually descriptive sentences of an organ, averaged
====  ==================================================================================

The sentences are our own, one YAML file per task beside this module. The papers' released lists hold 20 or 21
sentences, call breast ultrasound a mammogram, and are never averaged by the released code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

from models.errors import Code, ConfigError

Kind = Literal["P0", "P1", "P2", "P3", "P4", "P5", "VDT"]
KINDS: tuple[Kind, ...] = get_args(Kind)
OF_SUBTYPES: tuple[Kind, ...] = ("P1", "P3", "P5")

QUESTION = "Give a sentence caption that describes unique visual features of {target} in {modality}."
"""What MedCLIP-SAMv2 (section 3.2) asks a language model for."""


@dataclass(frozen=True)
class Words:
    """The name of a class or subtype, and sentences about what it looks like."""

    name: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class PromptSets:
    """All prompts of one task.

    ``generic`` holds the class, ``subtypes`` its kinds by name; both are empty where the paper has none.
    ``descriptive`` holds SaLIP's sentences by side, those about the whole organ under ``""``. The target has
    ``regions`` separate regions.
    """

    task: str
    target: str
    modality: str
    generic: Words
    subtypes: Mapping[str, Words] = field(default_factory=dict)
    descriptive: Mapping[str, Words] = field(default_factory=dict)
    regions: int = 1

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds of prompt that this task has."""
        if self.descriptive:
            return ("P0", "VDT")
        return tuple(kind for kind in KINDS if kind != "VDT" and (self.subtypes or kind not in OF_SUBTYPES))


@cache
def _all() -> Mapping[str, PromptSets]:
    import yaml

    entries = sorted(
        (entry for entry in files("models.prompts").iterdir() if entry.name.endswith(".yaml")),
        key=lambda entry: entry.name,
    )
    read = (_parse(yaml.safe_load(entry.read_text(encoding="utf-8"))) for entry in entries)
    return {sets.task: sets for sets in read}


def _parse(content: Mapping[str, Any]) -> PromptSets:
    descriptive = {}
    if "descriptive" in content:
        descriptive[""] = Words(content["name"], tuple(content["descriptive"]))
        for side, words in content.get("sides", {}).items():
            descriptive[side] = Words(words["name"], tuple(words["descriptive"]))
    return PromptSets(
        task=content["task"],
        target=content["target"],
        modality=content["modality"],
        generic=Words(content["name"], tuple(content.get("generic", ()))),
        subtypes={
            subtype: Words(words["name"], tuple(words["sentences"]))
            for subtype, words in content.get("subtypes", {}).items()
        },
        descriptive=descriptive,
        regions=content.get("regions", 1),
    )


def known_tasks() -> tuple[str, ...]:
    """Return the names of the tasks that have prompt sets."""
    return tuple(_all())


def prompt_sets(task: str) -> PromptSets:
    """Return all prompts of a task. Raises ConfigError (USAGE) for an unknown one."""
    if task not in _all():
        raise ConfigError(Code.USAGE, f"no prompts for {task!r}; there are: {', '.join(known_tasks())}")
    return _all()[task]


def prompt_set(task: str, kind: str, subtype: str | None = None) -> tuple[str, ...]:
    """Return the wordings of one kind of prompt; several are averaged by the method's text stage.

    Parameters
    ----------
    task
        One of :func:`known_tasks`.
    kind
        ``P0`` to ``P5`` or ``VDT``.
    subtype
        For P1, P3 and P5 the subtype of the target, for VDT a side (SaLIP, section 9.2) or nothing.

    Raises
    ------
    ConfigError
        USAGE, saying what there is: the task has no such kind or subtype.
    """
    sets = prompt_sets(task)
    if kind not in sets.kinds():
        raise ConfigError(
            Code.USAGE, f"{task} has no prompts of kind {kind!r}; it has: {', '.join(sets.kinds())}"
        )
    if kind == "VDT":
        return _one_of(sets.descriptive, subtype or "", task).sentences
    words = _one_of(sets.subtypes, subtype, task) if kind in OF_SUBTYPES else sets.generic
    if kind in {"P0", "P1"}:
        return (words.name,)
    return words.sentences[:1] if kind in {"P2", "P3"} else words.sentences


def _one_of(words: Mapping[str, Words], name: str | None, task: str) -> Words:
    if name is None or name not in words:
        known = ", ".join(filter(None, words)) or "none"
        raise ConfigError(Code.USAGE, f"{task} has no subtype or side {name!r}; it has: {known}")
    return words[name]


def template(target: str, modality: str) -> str:
    """Return the paper's question for a language model, filled in. Raises ConfigError (USAGE) if empty."""
    if not target.strip() or not modality.strip():
        raise ConfigError(Code.USAGE, "the question needs a target and a modality, both not empty")
    return QUESTION.format(target=target.strip(), modality=modality.strip())
