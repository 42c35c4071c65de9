"""A fault of a series' geometry, and how its slices are named."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from models.errors import Code
from operators import header as tags
from operators.slices import Slice

NAMED = 10
"""Slices that a message names; the rest is counted."""

T = TypeVar("T")


@dataclass(frozen=True)
class GeometryFault:
    """One thing that is wrong: its code, a sentence that names the slices, and what to do about it."""

    code: Code
    reason: str
    remedy: str


def named(plane: Slice) -> str:
    """Return file, frame and InstanceNumber of a slice."""
    return f"{plane.name} (InstanceNumber {instance_number(plane)})"


def instance_number(plane: Slice) -> str:
    """Return InstanceNumber as text, ``none`` where there is none."""
    number = tags.number(plane.instance.header, "InstanceNumber")
    return "none" if number is None else f"{number:.0f}"


def listed(things: Sequence[T], name: Callable[[T], str]) -> str:
    """Name the first ten things and count the others."""
    shown = ", ".join(name(thing) for thing in things[:NAMED])
    return shown if len(things) <= NAMED else f"{shown} and {len(things) - NAMED} more"
