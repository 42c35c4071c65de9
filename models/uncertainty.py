"""What members agree on, and how much they disagree."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

THRESHOLD = 0.5


@dataclass(frozen=True)
class Agreement:
    """Mean probability over members and its entropy in bits, both (..., H, W) float32."""

    probability: npt.NDArray[np.float32]
    entropy: npt.NDArray[np.float32]


def entropy(probability: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Entropy of a yes-or-no outcome in bits: 0 at 0 and 1, 1 at 0.5 (MedCLIP-SAMv2, section 3.3)."""
    p = np.clip(probability.astype(np.float64), 0.0, 1.0)
    terms = np.zeros_like(p)
    for side in (p, 1.0 - p):
        inside = side > 0
        terms[inside] -= side[inside] * np.log2(side[inside])
    return np.clip(terms, 0.0, 1.0).astype(np.float32)


def agree(members: npt.NDArray[np.float32]) -> Agreement:
    """Average members (M, H, W) of probabilities and take the entropy of the mean. M >= 1."""
    if members.ndim != 3 or len(members) == 0:
        raise ValueError(f"need members as (M, H, W) with M >= 1, got {members.shape}")
    probability = members.mean(0, dtype=np.float64).astype(np.float32)
    return Agreement(probability, entropy(probability))
