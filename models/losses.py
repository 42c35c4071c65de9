"""Contrastive losses between paired rows of images and texts (MedCLIP-SAMv2, section 3.1, Eq. 1 to 13).

All four are one formula. With unit rows, ``l = image @ text.T / tau`` and one anchor ``i``,

    -l_ii + log( alpha e^{l_ii} + sum_{j != i} w_ij e^{l_ij} )
    w_ij = n_i e^{beta l_ij} / sum_{k != i} e^{beta l_ik}

where ``n_i`` counts the negatives of the anchor (B - 1 where none is masked):

    InfoNCE   alpha 1, beta 0        HN-NCE    alpha > 0, beta > 0
    DCL       alpha 0, beta 0        DHN-NCE   alpha 0, beta > 0

Everything stays in logarithms: the weights are a masked log-softmax, the sum a masked log-sum-exp, masked
cells are minus infinity. A loss is the sum over all anchors of both sides, as printed, or its B-th part. It
may be below 0: without the positive in the sum (alpha 0) nothing bounds it.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

TAU = 0.6
BETA = 0.15

Reduction = Literal["sum", "mean"]


def log_weights(logits: Tensor, negative: Tensor, beta: float) -> Tensor:
    """Return log w (B, B): how much each negative counts for the anchor of its row; minus infinity elsewhere.

    The weights of an anchor add up to the number of its negatives and grow with similarity (Eq. 11 and 12).
    ``negative`` is (B, B) bool; every row needs at least one.
    """
    shares = (beta * logits).masked_fill(~negative, -torch.inf).log_softmax(1)
    return shares + negative.sum(1, keepdim=True).to(logits.dtype).log()


def one_side(logits: Tensor, negative: Tensor, alpha: float, beta: float) -> Tensor:
    """Return the loss of each anchor on the rows of ``logits`` (B, B); 0 where it has no negative at all."""
    usable = negative.any(1)
    positive, logits, negative = logits.diagonal()[usable], logits[usable], negative[usable]
    others = (logits + log_weights(logits, negative, beta)).logsumexp(1)
    if alpha > 0.0:
        others = torch.logaddexp(positive + math.log(alpha), others)
    losses = positive.new_zeros(len(usable))
    losses[usable] = others - positive
    return losses


def _both_sides(
    image: Tensor,
    text: Tensor,
    same: Tensor | None,
    tau: float,
    alpha: float,
    beta: tuple[float, float],
    reduction: Reduction,
) -> Tensor:
    logits = similarity(image, text) / tau
    negative = ~torch.eye(len(image), dtype=torch.bool, device=image.device)
    if same is not None:
        negative = negative & ~same
    sides = one_side(logits, negative, alpha, beta[0]), one_side(logits.T, negative.T, alpha, beta[1])
    total = sides[0].sum() + sides[1].sum()
    return total / len(image) if reduction == "mean" else total


def similarity(image: Tensor, text: Tensor) -> Tensor:
    """Return the cosines (B, B) of paired rows (B, D), in float32 at least, also under autocast.

    Raises ValueError for fewer than two pairs, because one has nothing to stand out from, or unequal batches.
    """
    if image.shape != text.shape or len(image) < 2:
        raise ValueError(
            f"need two equal batches of at least 2 rows, got {tuple(image.shape)} and {tuple(text.shape)}"
        )
    precision = torch.promote_types(image.dtype, torch.float32)
    with torch.autocast(image.device.type, enabled=False):
        return F.normalize(image.to(precision), dim=1) @ F.normalize(text.to(precision), dim=1).T


def info_nce(
    image: Tensor, text: Tensor, same: Tensor | None = None, tau: float = TAU, reduction: Reduction = "sum"
) -> Tensor:
    """InfoNCE, Eq. 2 and 3: the cross-entropy of finding one's own pair. Parameters as of :func:`dhn_nce`."""
    return _both_sides(image, text, same, tau, 1.0, (0.0, 0.0), reduction)


def dcl(
    image: Tensor, text: Tensor, same: Tensor | None = None, tau: float = TAU, reduction: Reduction = "sum"
) -> Tensor:
    """Decoupled contrastive loss, Eq. 7 and 8: the positive is not among those it is compared with."""
    return _both_sides(image, text, same, tau, 0.0, (0.0, 0.0), reduction)


def hn_nce(
    image: Tensor,
    text: Tensor,
    same: Tensor | None = None,
    tau: float = TAU,
    beta: tuple[float, float] = (BETA, BETA),
    alpha: float = 1.0,
    reduction: Reduction = "sum",
) -> Tensor:
    """Hard-negative noise-contrastive estimation between images and texts: InfoNCE with weighted negatives.

    ``alpha`` in (0, 1] is the weight of the positive among those it is compared with; the paper gives none.
    The other parameters are those of :func:`dhn_nce`.
    """
    if not 0.0 < alpha <= 1.0:
        raise ValueError(f"alpha must be in (0, 1], got {alpha}; without the positive the loss is dhn_nce")
    return _both_sides(image, text, same, tau, alpha, beta, reduction)


def dhn_nce(
    image: Tensor,
    text: Tensor,
    same: Tensor | None = None,
    tau: float = TAU,
    beta: tuple[float, float] = (BETA, BETA),
    reduction: Reduction = "sum",
) -> Tensor:
    """Decoupled hard-negative noise-contrastive estimation, Eq. 9 to 13 of the paper.

    Parameters
    ----------
    image, text
        (B, D) rows of any length above 0; row ``i`` of one belongs to row ``i`` of the other. B >= 2.
    same
        (B, B) bool, true where text ``j`` also describes image ``i``: such pairs are no negatives. The
        diagonal is never one.
    tau, beta
        Temperature, and hardness on the image and on the text side. ``beta`` multiplies the scaled logit.
    reduction
        ``sum`` over all anchors of both sides, as printed, or that divided by B.
    """
    return _both_sides(image, text, same, tau, 0.0, beta, reduction)


def dhn_nce_released(
    image: Tensor, text: Tensor, tau: float = TAU, beta: tuple[float, float] = (BETA, BETA)
) -> Tensor:
    """Return what the code released with MedCLIP-SAM and MedCLIP-SAMv2 computes. For comparison only.

    Not the loss of the paper, and not to be trained with: it divides cell by cell before the logarithm, so
    that no sum over negatives is ever formed; it normalises the weights by another sum; masked cells count as
    1; it averages over all B * B cells. What remains is, on each side,

        log(B - 1) + ( (1 + beta) sum_{i != j} l_ij - sum_i l_ii ) / B^2
                   - mean_i log( 1 + sum_{k != i} e^{l_ik} )

    whose last term pulls the hardest negatives closer instead of pushing them away.
    """
    logits = similarity(image, text) / tau
    return released_side(logits, beta[0]) + released_side(logits.T, beta[1])


def released_side(logits: Tensor, beta: float) -> Tensor:
    """Return one side of :func:`dhn_nce_released` on the rows of ``logits`` (B, B)."""
    count = len(logits)
    positive = logits.diagonal().sum()
    linear = ((1.0 + beta) * (logits.sum() - positive) - positive) / count**2
    # The masked diagonal enters the normaliser as e^0.
    masked = logits.masked_fill(torch.eye(count, dtype=torch.bool, device=logits.device), 0.0)
    return math.log(count - 1) + linear - masked.logsumexp(1).mean()
