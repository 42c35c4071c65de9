"""M2IB: a noisy gate in the image tower, learnt per image, that keeps only what the text needs.

The gate multiplies the features ``h`` at the bottleneck by ``lam = sigmoid(a)`` and fills the rest with
noise: ``z = lam h + (1 - lam) eps``. Minimising ``beta * KL - cosine`` keeps the image embedding near the
text while as little information as possible passes; the information that passes at a place is its saliency
(MedCLIP-SAMv2, section 3.2; M2IB, Wang et al.).

Here the part below the gate and the text are computed once, many gates (members, prompts, slices) are learnt
in one batch, each with its own seeded noise, and the logarithm of the variance is taken as
``2 logsigmoid(-a)``, which stays finite where ``1 - lam`` underflows. As published, the map is read before
the last update; what only that update needs is not computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.contracts import DualEncoder

START = 5.0
"""Initial gate: sigmoid(5) = 0.993, almost everything passes."""


@dataclass(frozen=True)
class M2ibSettings:
    """``beta`` weighs information against agreement; ``copies`` are the noise copies averaged in one step.

    ``batch`` rows are learnt at a time, which bounds memory (``batch * copies`` images pass the upper tower
    at once) and changes a map by rounding only. There is no variance of the noise to set: the released code
    takes one and never reads it.
    """

    beta: float = 0.1
    steps: int = 10
    copies: int = 4
    rate: float = 1.0
    batch: int = 16

    def __post_init__(self) -> None:
        if min(self.steps, self.copies, self.batch) < 1:
            raise ValueError("M2IB needs at least one step, one noise copy and one row per batch")


def information(features: Tensor, gate: Tensor) -> Tensor:
    """KL( N(lam h, (1 - lam)^2) || N(0, 1) ) in nats, elementwise; never negative.

    ``features`` and ``gate`` (the logit ``a`` of lam) have the same shape.
    """
    mean = torch.sigmoid(gate) * features
    log_variance = 2.0 * F.logsigmoid(-gate)
    return -0.5 * (1.0 + log_variance - mean**2 - log_variance.exp())


def m2ib(
    encoder: DualEncoder, features: Tensor, texts: Tensor, seeds: Sequence[int], settings: M2ibSettings
) -> Tensor:
    """Return one map per row, (B, *positions) float32: information in nats over channels, not normalised.

    The rows are any mixture of slices, prompts and members whose features have one shape; a row's map depends
    on its own features, text and seed only.

    Parameters
    ----------
    encoder
        Its ``finish`` maps features to unit image embeddings; its weights stay untouched and without
        gradients.
    features
        (B, C, *positions) at the bottleneck.
    texts
        (B, D), rows of unit length.
    seeds
        B of them, one per row.

    Raises
    ------
    ValueError
        Where features, texts and seeds are not equally many.
    """
    if not len(features) == len(texts) == len(seeds):
        raise ValueError(f"{len(features)} features, {len(texts)} texts and {len(seeds)} seeds do not pair")
    maps = [features.new_zeros(0, *features.shape[2:])]
    for start in range(0, len(seeds), settings.batch):
        rows = slice(start, start + settings.batch)
        gate = _learnt_gate(encoder, features[rows], texts[rows], seeds[rows], settings)
        maps.append(information(features[rows], gate).sum(1))
    return torch.cat(maps)


def _learnt_gate(
    encoder: DualEncoder, features: Tensor, texts: Tensor, seeds: Sequence[int], settings: M2ibSettings
) -> Tensor:
    """Return the gates (B, C, *positions) that the maps are read from: after all updates but the last."""
    each = features.shape[1:]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    gate = torch.full(features.shape, START, device=features.device, requires_grad=True)
    optimiser = torch.optim.Adam([gate], lr=settings.rate)
    for _ in range(settings.steps - 1):
        noise = torch.stack([torch.randn(settings.copies, *each, generator=g) for g in generators])
        lam = torch.sigmoid(gate)
        noisy = (lam * features).unsqueeze(1) + (1.0 - lam).unsqueeze(1) * noise.to(features.device)
        images = encoder.finish(noisy.flatten(0, 1)).unflatten(0, (len(seeds), settings.copies))
        agreement = (images * texts.unsqueeze(1)).sum(2).mean(1)
        passed = information(features, gate).flatten(1).mean(1)
        # A sum over rows, so that no row's step depends on how many there are.
        (gate.grad,) = torch.autograd.grad((settings.beta * passed - agreement).sum(), gate)
        optimiser.step()
    return gate.detach()


def min_max(maps: Tensor) -> Tensor:
    """Scale each map of (M, rows, columns) to [0, 1]; a constant map becomes zeros, never NaN."""
    low = maps.amin((1, 2), keepdim=True)
    high = maps.amax((1, 2), keepdim=True)
    span = high - low
    return torch.where(span > 0, (maps - low) / span.clamp_min(1e-12), torch.zeros_like(maps))
