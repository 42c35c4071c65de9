"""How an ensemble is trained: everything that decides its members, in one record that travels with them."""

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from models.ensemble.schedule import Cycles

SECTION = "textseg"
"""The key of an nnU-Net plan under which the recipe travels to the trainer."""


@dataclass(frozen=True)
class Recipe:
    """What a training depends on beside its images, its labels and nnU-Net's plan.

    Attributes
    ----------
    cycles
        Epochs, cycles, learning rate and which epochs are kept.
    iterations, validation_iterations
        Batches per epoch.
    around
        See :class:`models.ensemble.framing.Framing`.
    upright
        Whether images come upright, as archives store them: then training turns them by 15 degrees at most
        and mirrors left and right alone. nnU-Net turns square images all the way round, which takes a small
        network most of its time to learn.
    bf16
        Whether the network computes in bfloat16 (weights stay float32). Only where the processor has it.
    seed
        Every epoch draws from a seed of its own made of this one, so that a resumed training repeats it.
    """

    cycles: Cycles = field(default_factory=Cycles)
    iterations: int = 250
    validation_iterations: int = 50
    around: float | None = None
    upright: bool = False
    bf16: bool = False
    seed: int = 0

    def record(self) -> dict[str, Any]:
        """Return every number as plain values."""
        return asdict(self)

    @classmethod
    def read(cls, values: dict[str, Any]) -> Self:
        """Return the recipe of :meth:`record`."""
        return cls(**{**values, "cycles": Cycles(**values["cycles"])})
