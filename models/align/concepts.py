"""The wordings of ``concepts.yaml``: which sentences name a concept, and which name nothing."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


def _document() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(
        files("models.align").joinpath("concepts.yaml").read_text(encoding="utf-8")
    )
    return document


@dataclass(frozen=True)
class Wordings:
    """Sentences that mean one concept: those trained, and those held out."""

    trained: tuple[str, ...]
    held_out: tuple[str, ...]


@cache
def vocabulary() -> dict[str, Wordings]:
    """Return the wordings of every concept: its own sentences and the templates filled with its names."""
    document = _document()
    wordings: dict[str, Wordings] = {}
    for concept, lists in document["lesions"].items():
        wordings[concept] = Wordings(tuple(lists["trained"]), tuple(lists["held_out"]))
    for concept, names in document["organs"].items():
        sentences = document["sentences"].get(concept, {"trained": [], "held_out": []})
        filled = {
            part: tuple(template.format(name) for name in names for template in document["templates"][part])
            for part in ("trained", "held_out")
        }
        wordings[concept] = Wordings(
            (*sentences["trained"], *filled["trained"]), (*sentences["held_out"], *filled["held_out"])
        )
    return wordings


@cache
def nothing_trained() -> tuple[str, ...]:
    """Return the trained sentences that name nothing on any image of the corpus."""
    return tuple(_document()["nothing"]["trained"])


@cache
def denials() -> tuple[str, ...]:
    """Return the trained sentences that name an organ only to say that nothing is wrong with it."""
    return tuple(_document()["nothing"]["denials"])


@cache
def nothing_held_out() -> dict[str, tuple[str, ...]]:
    """Return the sentences, never trained, that must find nothing, by kind."""
    return {kind: tuple(sentences) for kind, sentences in _document()["nothing"]["held_out"].items()}


LESIONS: tuple[str, ...] = tuple(_document()["lesions"])
ORGANS: tuple[str, ...] = tuple(_document()["organs"])
