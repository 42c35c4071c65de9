"""What fine-tuning asks of a dual encoder."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

Told = Callable[[int, int], None]
"""Is told how many of how many are done."""


class Trainable(Protocol):
    """A dual encoder whose rows have gradients. Modules (``torch.nn.Module``) bring half of this along."""

    @property
    def identity(self) -> str:
        """A digest of all weights before training: a run goes on only from the weights it began with."""

    def prepare(self, images: Sequence[Path], told: Told) -> None:
        """Compute what training reads again and again, where it is not there yet."""

    def image_rows(self, images: Sequence[Path]) -> Tensor:
        """Return (B, D) embeddings of image files."""

    def text_rows(self, captions: Sequence[str]) -> Tensor:
        """Return (B, D) embeddings of captions."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield all parameters; those with ``requires_grad`` learn."""

    def train(self, mode: bool = True) -> object:
        """Switch what is random in training on or off."""

    def state(self) -> dict[str, Tensor]:
        """Return the parameters that learn."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take parameters that :meth:`state` returned."""

    def weights(self) -> dict[str, Tensor]:
        """Return the whole model's weights as its file holds them."""


class TrainableModule(nn.Module):
    """The half of :class:`Trainable` that needs only the parameters."""

    @property
    def identity(self) -> str:
        """SHA-256 of all parameters and buffers with their names."""
        return digest(self.state_dict())

    def state(self) -> dict[str, Tensor]:
        """Return copies of the parameters that learn."""
        return {name: p.detach().clone() for name, p in self.named_parameters() if p.requires_grad}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take parameters that :meth:`state` returned."""
        self.load_state_dict(dict(state), strict=False)


def digest(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of a state's names and bytes."""
    found = hashlib.sha256()
    for name in sorted(state):
        found.update(name.encode())
        found.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
