"""What passes from one stage of the method to the next.

A stage that finds nothing says why with a code, and the stages after it pass that code on, so that callers
run all of them without branches.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from models.errors import Code
from models.masks.components import Component
from models.placement import Placement
from models.uncertainty import THRESHOLD, Agreement


@dataclass(frozen=True)
class Saliency:
    """Where the prompt is meant.

    Attributes
    ----------
    maps
        (members, rows, columns) float32 in [0, 1] on the grid that ``placement`` lays over the image.
    relevance
        The probability that the image shows what the prompt names; None where the encoder cannot say.
    status
        Why there are no maps.
    regions
        What SaLIP chose of its regions; the other methods find theirs in the maps.
    probability
        (rows, columns) float32: how likely the text names what lies there; None where the encoder cannot say.
    """

    maps: npt.NDArray[np.float32]
    relevance: float | None
    placement: Placement
    status: Code | None = None
    regions: tuple[Component, ...] = ()
    probability: npt.NDArray[np.float32] | None = None

    def on_pixels(self, member: int | None = None) -> npt.NDArray[np.float32]:
        """Return (H, W) in [0, 1] on the image's own pixels: one member, or the mean of all."""
        if len(self.maps) == 0:
            return np.zeros((self.placement.height, self.placement.width), np.float32)
        grid = self.maps.mean(0) if member is None else self.maps[member]
        pixels: npt.NDArray[np.float32] = self.placement.on_pixels(torch.from_numpy(grid)[None])[0]
        return pixels


@dataclass(frozen=True)
class Coarse:
    """The components of each member, on the pixels of an image of (height, width) = ``size``.

    ``outline`` (H, W) float32 is the probability that the CRF gives each pixel, None where nobody asked it.
    """

    components: tuple[tuple[Component, ...], ...]
    size: tuple[int, int]
    status: Code | None = None
    outline: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Members:
    """Probability of each member (members, H, W) float32; ``members`` is 0 when nothing was found before."""

    probability: npt.NDArray[np.float32]
    status: Code | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image."""
        return self.probability.shape[1], self.probability.shape[2]


@dataclass(frozen=True)
class Vote:
    """What the members decide.

    ``probability`` is their mean, ``entropy`` its entropy and ``mutual_information`` the members'
    disagreement in bits, all (H, W) float32; ``mask`` (H, W) is where the probability is above 0.5;
    ``members`` is how many voted.
    """

    probability: npt.NDArray[np.float32]
    entropy: npt.NDArray[np.float32]
    mutual_information: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    members: int
    status: Code | None = None

    @classmethod
    def nothing(cls, size: tuple[int, int], status: Code) -> "Vote":
        """Return the vote on an image of (height, width) on which there was nothing to vote about."""
        empty = np.zeros(size, np.float32)
        return cls(empty, empty, empty, np.zeros(size, np.bool_), 0, status)

    @classmethod
    def of(cls, agreement: Agreement, members: int) -> "Vote":
        """Return the vote that an agreement comes to; NO-MASK when no pixel is more likely in than out."""
        mask = agreement.probability > THRESHOLD
        return cls(
            agreement.probability,
            agreement.entropy,
            agreement.mutual_information,
            mask,
            members,
            None if mask.any() else Code.NO_MASK,
        )
