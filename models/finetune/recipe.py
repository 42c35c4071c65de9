"""Everything a fine-tuning depends on beside its data and the weights it starts from."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import Tensor

from models.losses import BETA, TAU, Reduction, dcl, dhn_nce, dhn_nce_released, hn_nce, info_nce

LossName = Literal["info-nce", "dcl", "hn-nce", "dhn-nce", "dhn-nce-released"]
COMPARED: tuple[LossName, ...] = ("info-nce", "dcl", "hn-nce", "dhn-nce")


@dataclass(frozen=True)
class Recipe:
    """One fine-tuning's numbers; recorded beside its weights.

    Attributes
    ----------
    mode
        ``recommended`` or ``paper``: where the numbers come from.
    loss, tau, beta, reduction
        See :mod:`models.losses`.
    mask_equal
        Pairs with equal captions are not each other's negatives.
    epochs, batch
        An epoch sees every training pair once; a last batch of one pair is left out.
    rate, warm_up, schedule
        Learning rate after a linear rise over the share ``warm_up`` of all steps; then constant, or down to 0
        along a cosine.
    decay, moments, epsilon, clip
        AdamW; biases, norms and other parameters of one dimension do not decay. Gradients longer than
        ``clip`` are shortened, where it is given.
    held_out
        Share of the pairs, by whole patients, to choose the checkpoint with.
    judge_every
        Retrieval is judged after every so many epochs, and after the last.
    precision
        ``auto``: bfloat16 where a GPU has it, else float32. The loss itself is always in float32.
    """

    mode: Literal["recommended", "paper"] = "recommended"
    loss: LossName = "dhn-nce"
    tau: float = TAU
    beta: tuple[float, float] = (BETA, BETA)
    reduction: Reduction = "mean"
    mask_equal: bool = True
    epochs: int = 20
    batch: int = 64
    rate: float = 1e-5
    warm_up: float = 0.1
    schedule: Literal["constant", "cosine"] = "cosine"
    decay: float = 0.1
    moments: tuple[float, float] = (0.9, 0.98)
    epsilon: float = 1e-6
    clip: float | None = 1.0
    held_out: float = 0.15
    judge_every: int = 1
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch < 2 or self.epochs < 1:
            raise ValueError(f"need batches of at least 2 and 1 epoch, got {self.batch} and {self.epochs}")

    def loss_of(self, image: Tensor, text: Tensor, same: Tensor) -> Tensor:
        """Return the loss of paired rows (B, D); ``same`` (B, B) marks pairs with equal captions."""
        masked = same if self.mask_equal else None
        if self.loss == "info-nce":
            return info_nce(image, text, masked, self.tau, self.reduction)
        if self.loss == "dcl":
            return dcl(image, text, masked, self.tau, self.reduction)
        if self.loss == "hn-nce":
            return hn_nce(image, text, masked, self.tau, self.beta, reduction=self.reduction)
        if self.loss == "dhn-nce":
            return dhn_nce(image, text, masked, self.tau, self.beta, self.reduction)
        return dhn_nce_released(image, text, self.tau, self.beta)

    def record(self) -> dict[str, Any]:
        """Return every number as plain values."""
        return asdict(self)


WHOLE_MODEL = Recipe()
"""Recommended for a whole pretrained encoder: AdamW at a rate that leaves pretrained towers intact."""

PROJECTION = Recipe(rate=1e-3, decay=0.02)
"""Recommended where towers are frozen and only the projections learn."""

PAPER = Recipe(
    mode="paper",
    reduction="sum",
    mask_equal=False,
    rate=1e-6,
    warm_up=0.0,
    schedule="constant",
    decay=0.0,
    moments=(0.9, 0.999),
    epsilon=1e-8,
    clip=None,
)
"""What MedCLIP-SAMv2 prints (section 3.4.1): rate 1e-6, batches of 64, tau 0.6, beta 0.15, 85 to 15.

Optimiser and epochs are not printed: AdamW with its usual numbers and 20 epochs are ours. Its "50 % decay
rate" says neither what decays nor when, and is left out.
"""
