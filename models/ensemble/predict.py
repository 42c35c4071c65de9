"""A checkpoint ensemble's answer about slices: members streamed, their probabilities averaged.

Members are taken one after the other over all slices, so that each is loaded once and memory does not grow
with their number. A member is what nnU-Net predicts with that checkpoint, logits averaged over tiles and
mirrorings; members are averaged as probabilities. (``nnUNetPredictor`` averages the logits of several
checkpoints, which is another number, and from which no mutual information follows.)
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from models.ensemble.network import LoadMember, SwappedNetwork
from models.ensemble.tiles import Size, corners, importance, padded
from models.errors import Code, ModelError
from models.uncertainty import FloatArray, RunningAgreement, change_of_entropy

MIRRORED: tuple[tuple[int, ...], ...] = ((2,), (3,), (2, 3))
"""The axes of (N, C, h, w) along which nnU-Net mirrors a 2-D image at test time."""

UPRIGHT: tuple[tuple[int, ...], ...] = ((3,),)
"""The same of members that learnt from upright images: left and right alone."""

PRECISION = {"fp32": torch.float32, "bf16": torch.bfloat16}

Place = tuple[slice, slice]


@dataclass(frozen=True)
class InferenceSettings:
    """How members are asked.

    Attributes
    ----------
    tile
        Rows and columns of a network pass: nnU-Net's patch size.
    mirror
        nnU-Net's test time mirroring over both axes, four passes.
    upright
        Whether ``mirror`` means left and right alone, two passes.
    step
        nnU-Net's step between tiles as a share of the tile.
    precision
        ``bf16`` is about three times as fast as ``fp32`` on a processor with AVX512-BF16, and slower without.
    batch
        Tiles per pass. One is fastest on a processor.
    converged
        A slice is finished when one more member changes its entropy map by less than this many bits
        (:func:`models.uncertainty.change_of_entropy`). None: all members vote on every slice. Neighbouring
        checkpoints of one cycle resemble each other: offer members of different cycles in turn.
    at_least
        Members that vote on every slice before ``converged`` may end it.
    """

    tile: Size
    mirror: bool = True
    upright: bool = False
    step: float = 0.5
    precision: Literal["fp32", "bf16"] = "fp32"
    batch: int = 1
    converged: float | None = None
    at_least: int = 6


@dataclass(frozen=True)
class EnsemblePrediction:
    """What an ensemble says of one slice, (H, W) float32 maps.

    Attributes
    ----------
    probability
        Mean foreground probability over the members.
    entropy
        Entropy of that mean in bits.
    mutual_information
        Entropy of the mean less the mean entropy, in bits: what the members disagree about.
    members
        How many voted.
    """

    probability: FloatArray
    entropy: FloatArray
    mutual_information: FloatArray
    members: int


def predict(
    network: nn.Module,
    members: Iterable[LoadMember],
    slices: Sequence[Tensor],
    settings: InferenceSettings,
    *,
    foreground: int = 1,
    device: str | torch.device = "cpu",
) -> list[EnsemblePrediction]:
    """Ask an ensemble about slices.

    Parameters
    ----------
    network
        The architecture; its parameters are neither used nor changed (it may lie on the ``meta`` device). It
        maps (N, C, h, w) to logits (N, classes, h, w), so without deep supervision.
    members
        Each returns the parameters of one member when it is called, at most once; none is where there is no
        slice.
    slices
        (C, H, W) float32 each, preprocessed as for training; sizes may differ.
    settings
        How members are asked.
    foreground
        Channel of the logits whose probability is meant.
    device
        Where members compute.

    Returns
    -------
    list of EnsemblePrediction
        One per slice, in their order.

    Raises
    ------
    ModelError
        ENSEMBLE-EMPTY: no members. MEMBER-INVALID: a member of another architecture, or one that answers with
        anything but finite numbers. Whatever ``members`` raise.
    """
    waiting = iter(members)
    first = next(waiting, None)
    if first is None:
        raise ModelError(
            Code.ENSEMBLE_EMPTY, "the ensemble has no members; install it again, or run with --ensemble off"
        )
    votes = [_Vote(pixels, settings.tile) for pixels in slices]
    swapped = SwappedNetwork(network, torch.device(device), PRECISION[settings.precision])
    for number, read in enumerate(chain((first,), waiting), start=1):
        asked = [vote for vote in votes if not vote.closed]
        if not asked:
            break
        swapped.load(read, number)
        for vote, logits in _logits(swapped, asked, settings):
            probability = logits.softmax(0)[foreground]
            if not probability.isfinite().all():
                raise ModelError(
                    Code.MEMBER_INVALID,
                    f"member {number} answers with what is no number; train or install the ensemble again",
                )
            vote.add(probability, settings)
    return [vote.answer() for vote in votes]


class _Vote:
    """The running vote on one slice; ``closed`` once no further member is asked."""

    def __init__(self, pixels: Tensor, tile: Size) -> None:
        size = (pixels.shape[1], pixels.shape[2])
        self.pixels, self._inside = padded(pixels, tile)
        self.padded_size = (self.pixels.shape[1], self.pixels.shape[2])
        self.running = RunningAgreement(size)
        self.closed = False
        self._before: FloatArray = np.zeros(size, np.float32)

    def add(self, probability: Tensor, settings: InferenceSettings) -> None:
        """Count one member's probabilities (h, w) on the padded slice."""
        self.running.add(probability[self._inside].numpy())
        if settings.converged is None:
            return
        now = self.running.entropy
        settled = change_of_entropy(self._before, now) < settings.converged
        self.closed = settled and self.running.members >= settings.at_least
        self._before = now

    def answer(self) -> EnsemblePrediction:
        """Return what the members so far say. At least one member."""
        agreed = self.running.agreement()
        return EnsemblePrediction(
            agreed.probability, agreed.entropy, agreed.mutual_information, self.running.members
        )


def _logits(
    network: SwappedNetwork, votes: Sequence[_Vote], settings: InferenceSettings
) -> Iterator[tuple[_Vote, Tensor]]:
    """Yield each vote with one member's logits (classes, h, w) on its padded slice, on the CPU.

    Tiles are summed in half precision as nnU-Net sums them: in the corners of a slice, where a weight is
    hardly more than the smallest half, this moves a logit by up to 0.03, and a member shall be nnU-Net's.
    """
    weight = importance(settings.tile)
    for vote, tiles in groupby(_tiles(network, votes, settings), key=itemgetter(0)):
        parts = [(place, logits) for _, place, logits in tiles]
        weights = torch.zeros(vote.padded_size, dtype=torch.half)
        total = torch.zeros((len(parts[0][1]), *vote.padded_size), dtype=torch.half)
        for place, logits in parts:
            total[:, *place] += logits * weight
            weights[place] += weight
        yield vote, (total / weights).float()


def _tiles(
    network: SwappedNetwork, votes: Sequence[_Vote], settings: InferenceSettings
) -> Iterator[tuple[_Vote, Place, Tensor]]:
    """Yield the logits (classes, h, w) of every tile in the order of the votes; neighbours share a pass."""
    rows, columns = settings.tile
    tiles = [
        (vote, (slice(row, row + rows), slice(column, column + columns)))
        for vote in votes
        for row, column in corners(vote.padded_size, settings.tile, settings.step)
    ]
    for start in range(0, len(tiles), settings.batch):
        chunk = tiles[start : start + settings.batch]
        images = torch.stack([vote.pixels[:, *place] for vote, place in chunk])
        for (vote, place), logits in zip(chunk, _mirrored(network, images, settings), strict=True):
            yield vote, place, logits


def _mirrored(network: SwappedNetwork, images: Tensor, settings: InferenceSettings) -> Tensor:
    """Return the mean logits (N, classes, h, w) over nnU-Net's mirrorings, on the CPU."""
    total = network(images)
    if not settings.mirror:
        return total.cpu()
    ways = UPRIGHT if settings.upright else MIRRORED
    for axes in ways:
        total += network(images.flip(axes)).flip(axes)
    return (total / (1 + len(ways))).cpu()
