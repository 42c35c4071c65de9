"""The learning rate of training in cycles, and which epochs leave a member (MedCLIP-SAMv2, section 3.3).

Every cycle ends in a network of its own: the rate falls, the last epochs of the cycle are kept, the rate is
raised again and the next cycle leaves for another optimum. Epochs count from 0.
"""

from dataclasses import dataclass
from typing import Literal

Rate = Literal["recommended", "released"]

FLOOR = 0.01
"""The recommended rate ends a cycle at this share of where it began: near zero, and never standing still."""


@dataclass(frozen=True)
class Cycles:
    """A training of ``epochs`` in ``cycles`` of equal length, the last ``keep`` epochs of each are members.

    Attributes
    ----------
    rate
        ``recommended``: from ``initial`` to near zero within every cycle. ``released``: the authors' scripts,
        whose decay is divided by all epochs and stands still after ``gamma`` of a cycle, so that it never
        comes near zero (0.0100 to 0.0076 of 600 epochs).
    initial
        The rate at the start of the first cycle.
    restart
        The rate at the start of every later cycle.
    gamma
        Share of a cycle after which the released rate stands still.
    exponent
        Of the polynomial decay.
    """

    epochs: int = 600
    cycles: int = 3
    keep: int = 10
    rate: Rate = "recommended"
    initial: float = 0.01
    restart: float = 0.01
    gamma: float = 0.8
    exponent: float = 0.9

    def __post_init__(self) -> None:
        if self.cycles < 1 or self.epochs < 1 or self.epochs % self.cycles:
            raise ValueError(
                f"{self.epochs} epochs cannot be divided into {self.cycles} cycles of equal length"
            )
        if not 1 <= self.keep <= self.length:
            raise ValueError(f"a cycle of {self.length} epochs cannot leave {self.keep} members")

    @property
    def length(self) -> int:
        """Epochs of one cycle."""
        return self.epochs // self.cycles


def learning_rate(epoch: int, plan: Cycles) -> float:
    """Return the learning rate of an epoch.

    Raises ValueError outside ``0 <= epoch < plan.epochs``.
    """
    if not 0 <= epoch < plan.epochs:
        raise ValueError(f"epoch {epoch} is not one of {plan.epochs}")
    within = epoch % plan.length
    start = plan.initial if epoch < plan.length else plan.restart
    if plan.rate == "released":
        if plan.cycles == 1:
            return float(start * (1.0 - epoch / plan.epochs) ** plan.exponent)
        standing = min(within, int(plan.gamma * plan.length))
        return float(start * (1.0 - standing / plan.epochs) ** plan.exponent)
    share = 1.0 - within / max(1, plan.length - 1)
    return float(start * (FLOOR + (1.0 - FLOOR) * share**plan.exponent))


def member_epochs(plan: Cycles) -> tuple[int, ...]:
    """Return the epochs after which the network is kept: the last ``keep`` of every cycle, its end included.

    The released rule, ``(epoch + 1) % length >= length - keep``, keeps as many and misses every cycle's end.
    """
    ends = range(plan.length, plan.epochs + 1, plan.length)
    return tuple(epoch for end in ends for epoch in range(end - plan.keep, end))
