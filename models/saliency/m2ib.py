"""M2IB: a noisy gate in the image tower, learnt per image, that keeps only what the text needs.

The gate multiplies the features ``h`` at the bottleneck by ``lam = sigmoid(a)`` and fills the rest with
noise: ``z = lam h + (1 - lam) eps``. Minimising ``beta * KL - cosine`` keeps the image embedding near the
text while as little information as possible passes; the information that passes at a place is its saliency
(MedCLIP-SAMv2, section 3.2; M2IB, Wang et al.).

Here the part below the gate and the text are computed once, several gates are learnt in one batch (one per
member, each with its own seeded noise), and the logarithm of the variance is taken as ``2 logsigmoid(-a)``,
which stays finite where ``1 - lam`` underflows.
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
    """``beta`` weighs information against agreement; ``copies`` are the noise copies averaged in one step."""

    beta: float = 0.1
    steps: int = 10
    copies: int = 4
    rate: float = 1.0


def information(features: Tensor, gate: Tensor) -> Tensor:
    """KL( N(lam h, (1 - lam)^2) || N(0, 1) ) in nats, elementwise; never negative.

    ``features`` and ``gate`` (the logit ``a`` of lam) have the same shape.
    """
    mean = torch.sigmoid(gate) * features
    log_variance = 2.0 * F.logsigmoid(-gate)
    return -0.5 * (1.0 + log_variance - mean**2 - log_variance.exp())


def m2ib(
    encoder: DualEncoder, features: Tensor, text: Tensor, seeds: Sequence[int], settings: M2ibSettings
) -> Tensor:
    """Return one map per seed, (len(seeds), rows, columns) float32: information in nats, not normalised.

    Parameters
    ----------
    encoder
        Its ``finish`` maps features to unit image embeddings; its weights stay untouched and without
        gradients.
    features
        (C, rows, columns) at the bottleneck, standardised.
    text
        (D,) of unit length.
    seeds
        One per member; a member's map depends on its own seed only.
    """
    members, shape = len(seeds), features.shape
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    gate = torch.full((members, *shape), START, device=features.device, requires_grad=True)
    optimiser = torch.optim.Adam([gate], lr=settings.rate)
    passed = torch.zeros(members, *shape[1:])
    for _ in range(settings.steps):
        noise = torch.stack([torch.randn(settings.copies, *shape, generator=g) for g in generators])
        lam = torch.sigmoid(gate)
        kept = information(features, gate)
        # The map is read before the update, as published: the last update never reaches it.
        passed = kept.detach().sum(1)
        noisy = (lam * features).unsqueeze(1) + (1.0 - lam).unsqueeze(1) * noise.to(features.device)
        image = encoder.finish(noisy.flatten(0, 1)).unflatten(0, (members, settings.copies))
        # A sum over members, so that no member's step depends on how many there are.
        loss = (settings.beta * kept.mean((1, 2, 3)) - (image @ text).mean(1)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return passed


def min_max(maps: Tensor) -> Tensor:
    """Scale each map of (M, rows, columns) to [0, 1]; a constant map becomes zeros, never NaN."""
    low = maps.amin((1, 2), keepdim=True)
    high = maps.amax((1, 2), keepdim=True)
    span = high - low
    return torch.where(span > 0, (maps - low) / span.clamp_min(1e-12), torch.zeros_like(maps))
