"""Contrastive losses between paired rows of images and texts (MedCLIP-SAMv2, section 3.1).

Only DHN-NCE is here: the alignment head is trained with it. It is computed in the stable form: with
``l = image @ text.T / tau`` and one anchor ``i``,

    -l_ii + log(n_i) + LSE_{j != i}((1 + beta) l_ij) - LSE_{j != i}(beta l_ij)

where ``n_i`` counts the negatives of the anchor (B - 1 where none is masked).
"""

import torch
from torch import Tensor

TAU = 0.6
BETA = 0.15


def _side(logits: Tensor, negative: Tensor, beta: float) -> Tensor:
    """Per-anchor loss (B,) on the rows of ``logits``; anchors without any negative give no loss."""
    count = negative.sum(1)
    hidden = logits.masked_fill(~negative, -torch.inf)
    scaled = (beta * logits).masked_fill(~negative, -torch.inf)
    usable = count > 0
    hard = torch.logsumexp(hidden[usable] + scaled[usable], 1)
    even = torch.logsumexp(scaled[usable], 1)
    return -logits.diagonal()[usable] + count[usable].to(logits.dtype).log() + hard - even


def dhn_nce(
    image: Tensor,
    text: Tensor,
    same: Tensor | None = None,
    tau: float = TAU,
    beta: tuple[float, float] = (BETA, BETA),
) -> Tensor:
    """Decoupled hard-negative noise-contrastive estimation, Eq. 9 to 13 of the paper, summed over anchors.

    Parameters
    ----------
    image, text
        (B, D) rows of unit length; row ``i`` of one belongs to row ``i`` of the other. B >= 2.
    same
        (B, B) bool, true where text ``j`` also describes image ``i``: such pairs are no negatives. The
        diagonal is never one.
    tau, beta
        Temperature, and hardness on the image and on the text side. ``beta`` multiplies the scaled logit.
    """
    if image.shape != text.shape or len(image) < 2:
        raise ValueError(
            f"need two equal batches of at least 2 rows, got {tuple(image.shape)} and {tuple(text.shape)}"
        )
    logits = (image @ text.T).float() / tau
    negative = ~torch.eye(len(image), dtype=torch.bool, device=image.device)
    if same is not None:
        negative &= ~same
    return _side(logits, negative, beta[0]).sum() + _side(logits.T, negative.T, beta[1]).sum()
