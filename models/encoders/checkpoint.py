"""Weights under the names of other programs: read from files, checked, and renamed both ways."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from models.errors import Code, ModelError
from models.weights import read_weights

State = Mapping[str, Tensor]
SHOWN = 5
"""Names of a kind that one message lists."""


@dataclass(frozen=True)
class Names:
    """How another program names the parameters of our modules.

    Attributes
    ----------
    label
        Whose names these are, for messages.
    table
        Our name to theirs. ``{n}`` stands for a block's number and ``{p}`` for ``weight`` or ``bias``;
        ``[q|k|v]`` says that ours is theirs, in this order, one below the other.
    unit_axes
        Their parameters with so many leading axes of length 1 that ours lack.
    transposed
        Their matrices that are ours transposed.
    unused
        Their entries that are no parameters.
    """

    label: str
    table: Mapping[str, str]
    unit_axes: Mapping[str, int]
    transposed: frozenset[str]
    unused: frozenset[str]

    def of(self, own: str) -> tuple[str, ...]:
        """Return their name of our parameter ``own``; several where theirs comes in parts."""
        number = re.search(r"\.(\d+)\.", own)
        general = re.sub(r"\.\d+\.", ".{n}.", own)
        stem, _, last = general.rpartition(".")
        pattern = self.table.get(f"{stem}.{{p}}") if last in {"weight", "bias"} else None
        name = (pattern or self.table[general]).format(n=number and number[1], p=last)
        parts = re.search(r"\[(.*)\]", name)
        if parts is None:
            return (name,)
        return tuple(name.replace(parts[0], part) for part in parts[1].split("|"))

    def own(self, state: State, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
        """Return a state of theirs under our names, float32, each of our ``shapes``.

        Raises ModelError (BUNDLE-INVALID) naming what is missing, unexpected or of another shape.
        """
        wanted = {own: self.of(own) for own in shapes}
        expected = {name for names in wanted.values() for name in names}
        _refuse(
            self.label,
            missing=expected - state.keys(),
            unexpected=state.keys() - expected - self.unused,
        )
        found = {own: self._joined(state, names) for own, names in wanted.items()}
        wrong = {
            f"{'|'.join(wanted[own])} {tuple(values.shape)} instead of {tuple(shapes[own])}"
            for own, values in found.items()
            if values.shape != shapes[own]
        }
        _refuse(self.label, misshapen=wrong)
        return found

    def theirs(self, state: State) -> dict[str, Tensor]:
        """Return a state of ours under their names and in their shapes."""
        return dict(self._split(state))

    def _joined(self, state: State, names: tuple[str, ...]) -> Tensor:
        values = torch.cat([state[name].float() for name in names]) if len(names) > 1 else state[names[0]]
        axes = self.unit_axes.get(names[0], 0)
        if values.shape[:axes] == (1,) * axes:
            values = values.reshape(values.shape[axes:])
        return (values.T if names[0] in self.transposed else values).float().contiguous()

    def _split(self, state: State) -> Iterator[tuple[str, Tensor]]:
        for own, values in state.items():
            names = self.of(own)
            parts = values.chunk(len(names)) if len(names) > 1 else (values,)
            for name, part in zip(names, parts, strict=True):
                shape = (1,) * self.unit_axes.get(name, 0) + tuple(part.shape)
                yield name, (part.T if name in self.transposed else part.reshape(shape)).contiguous()


def _refuse(label: str, **faults: set[str]) -> None:
    said = []
    for kind, names in faults.items():
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            said.append(f"{kind}: {', '.join(sorted(names)[:SHOWN])}{more}")
    if said:
        message = f"these weights do not fit the model, read by {label}: {'; '.join(said)}"
        raise ModelError(Code.BUNDLE_INVALID, message)


def load(state: State, candidates: tuple[Names, ...], modules: Mapping[str, nn.Module]) -> float:
    """Give the modules, on the meta device, their weights; return exp(logit_scale).

    ``state`` is read by the names among ``candidates`` that most of its entries have; our names are those of
    the modules' parameters behind the keys of ``modules``. Raises ModelError (BUNDLE-INVALID).
    """
    shapes = {
        f"{key}.{name}": values.shape
        for key, module in modules.items()
        for name, values in module.state_dict().items()
    } | {"logit_scale": torch.Size([])}

    def known(names: Names) -> int:
        return sum(name in state for own in shapes for name in names.of(own))

    own = max(candidates, key=known).own(state, shapes)
    scale = float(own.pop("logit_scale").exp())
    for key, module in modules.items():
        part = {name.removeprefix(f"{key}."): t for name, t in own.items() if name.startswith(f"{key}.")}
        module.load_state_dict(part, assign=True)
    return scale


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the weights in a file: safetensors, or a pickle of tensors and plain values alone.

    A training checkpoint of open_clip, which keeps the weights under ``state_dict`` with ``module.`` before
    each name where several machines trained, is unwrapped. Raises ModelError (MODEL-MISSING,
    BUNDLE-INVALID).
    """
    return {name.removeprefix("module."): values for name, values in read_weights(path).items()}
