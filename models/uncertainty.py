"""What members agree on, how much they disagree, and one number for how unsure a mask is.

Entropy is that of the mean, the predictive entropy (MedCLIP-SAMv2, section 3.3). It is high where every
member is unsure and where each is sure of something else; the mutual information is the second part alone.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import entr, expit, logit

from models.masks.components import EIGHT

THRESHOLD = 0.5

ENTROPY_FLOOR_BITS = 0.05
"""Entropies below this (a mean probability under 0.6 %) are written as 0, so that maps stay small."""

LEAST = 1e-6
"""Nothing is less likely: the logit of 0 is infinite at every temperature."""

FloatArray = npt.NDArray[np.float32]
Unit = Literal["bits", "nats"]


@dataclass(frozen=True)
class Agreement:
    """Mean probability over members, its entropy and the mutual information in bits, (..., H, W) float32."""

    probability: FloatArray
    entropy: FloatArray
    mutual_information: FloatArray


def class_entropy(probabilities: npt.NDArray[np.floating], unit: Unit = "bits") -> npt.NDArray[np.float64]:
    """Return -sum_r p(r) log p(r) over the first axis of (R, ...), which sums to 1; finite at 0 and 1."""
    nats = entr(np.clip(probabilities, 0.0, 1.0, dtype=np.float64)).sum(0)
    return np.asarray(nats / np.log(2.0) if unit == "bits" else nats)


def entropy(probability: npt.NDArray[np.floating], unit: Unit = "bits") -> FloatArray:
    """Return the entropy of a yes-or-no outcome: 0 at 0 and 1, largest at 0.5, there 1 bit (ln 2 nats)."""
    p = probability.astype(np.float64)
    highest = 1.0 if unit == "bits" else np.log(2.0)
    return np.clip(class_entropy(np.stack((p, 1.0 - p)), unit), 0.0, highest).astype(np.float32)


class RunningAgreement:
    """Members added one by one: what is kept are sums, whose size does not depend on the number of members.

    Parameters
    ----------
    shape
        Of one member's probabilities.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.members = 0
        self._probability = np.zeros(shape, np.float64)
        self._entropy = np.zeros(shape, np.float64)

    def add(self, probability: FloatArray) -> None:
        """Count one member with its probabilities in [0, 1]. Raises ValueError for another shape."""
        if probability.shape != self._probability.shape:
            raise ValueError(f"a member of shape {probability.shape} among {self._probability.shape}")
        self._probability += probability
        self._entropy += entropy(probability)
        self.members += 1

    @property
    def entropy(self) -> FloatArray:
        """Entropy in bits of the mean so far. At least one member."""
        return entropy(self._probability / self.members)

    def agreement(self) -> Agreement:
        """Return what the members so far agree on. At least one member."""
        whole = self.entropy
        disagreement = np.clip(whole - self._entropy / self.members, 0.0, whole)
        mean = self._probability / self.members
        return Agreement(mean.astype(np.float32), whole, disagreement.astype(np.float32))


def agree(members: FloatArray) -> Agreement:
    """Average members (M, H, W) of probabilities, and say how far they disagree. M >= 1."""
    if members.ndim != 3 or len(members) == 0:
        raise ValueError(f"need members as (M, H, W) with M >= 1, got {members.shape}")
    running = RunningAgreement(members.shape[1:])
    for member in members:
        running.add(member)
    return running.agreement()


def tempered(probability: npt.NDArray[np.floating], temperature: float) -> FloatArray:
    """Divide the logit of a probability by a temperature: 1 changes nothing, more is less sure.

    Which of two pixels is the likelier one stays, and what is likelier than not.
    """
    return np.asarray(expit(logits(probability) / temperature), dtype=np.float32)


def logits(probability: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return log(p / (1 - p)), of probabilities kept ``LEAST`` away from 0 and 1."""
    return np.asarray(logit(np.clip(probability.astype(np.float64), LEAST, 1 - LEAST)))


def change_of_entropy(before: FloatArray, after: FloatArray) -> float:
    """Return how much two maps of entropy (H, W) in bits differ, in the mean over the pixels that are unsure.

    Unsure is where either map reaches ``ENTROPY_FLOOR_BITS``: over all pixels every change is small, because
    nearly all of a slice is background. 0 where no pixel is unsure.
    """
    unsure = np.maximum(before, after) >= ENTROPY_FLOOR_BITS
    return float(np.abs(after - before)[unsure].mean(dtype=np.float64)) if unsure.any() else 0.0


def outline_entropy(entropy: FloatArray, mask: npt.NDArray[np.bool_]) -> float | None:
    """Return the entropy of a slice in bits per 100 pixels of its mask's outline.

    MedCLIP-SAMv2's scalar score: 100 sum(H) over the number of pixels that a 3 x 3 dilation adds. The
    released code takes the difference in uint8, where 0 - 1 is 255, and so returns a 255th of it.

    Parameters
    ----------
    entropy
        (H, W) in bits.
    mask
        (H, W).

    Returns
    -------
    float or None
        None where the mask has no outline: it is empty, or the whole slice.
    """
    outline = int((ndimage.binary_dilation(mask, EIGHT) & ~mask).sum())
    return 100.0 * float(entropy.sum(dtype=np.float64)) / outline if outline else None
