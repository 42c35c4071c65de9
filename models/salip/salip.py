"""SaLIP from an image to a mask, step by step (arXiv 2404.06362, section 3.1.3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from models.contracts import DualEncoder, Image, PromptableSegmenter, VisualPrompt
from models.errors import Code
from models.evaluation.metrics import Mask
from models.masks.components import Component
from models.placement import Box
from models.salip.choose import choose
from models.salip.crops import crop
from models.salip.regions import of_area
from models.salip.score import embed_crops, similarity
from models.salip.settings import SalipSettings
from models.segmenters.everything import Region, segment_everything
from models.segmenters.joint import joint_mask


@dataclass(frozen=True, eq=False)
class Proposal:
    """Which regions of an image the text names.

    Attributes
    ----------
    regions
        The N regions that the area filter left.
    scores
        (N,) float32, cosine of region and text times 100.
    chosen
        Indices of the chosen regions, best first; empty exactly where there is a ``code``.
    code
        NO-REGION, REGIONS-ALIKE or MARGIN-LOW, or None.
    map
        (H, W) float32 in [0, 1]: :attr:`odds` painted on each region's pixels; where regions overlap, the
        higher; 0 outside all.
    margin
        How far the worst chosen region scores above the next distinct one; None where there is no other.
    """

    regions: tuple[Region, ...]
    scores: npt.NDArray[np.float32]
    chosen: tuple[int, ...]
    code: Code | None
    map: npt.NDArray[np.float32]
    margin: float | None = None

    @property
    def odds(self) -> npt.NDArray[np.float32]:
        """Odds (N,) of each region against the best one, in (0, 1]: e to the difference of their scores."""
        return odds(self.scores)

    def components(self) -> tuple[Component, ...]:
        """Return the chosen regions with their tight boxes; ``confidence`` is the value on the map."""
        picked = ((self.regions[index], self.odds[index]) for index in self.chosen)
        return tuple(Component(region.mask, region.box, float(odds)) for region, odds in picked)


def propose(
    segmenter: PromptableSegmenter,
    encoder: DualEncoder,
    image: Image,
    text: Tensor,
    settings: SalipSettings,
) -> Proposal:
    """Segment everything, filter by area, and let the text choose (SaLIP, Eq. 1 to 4).

    Parameters
    ----------
    segmenter, encoder
        The models.
    image
        (H, W, 3) uint8.
    text
        (D,) the text prototype.
    settings
        See :class:`models.salip.settings.SalipSettings`.
    """
    regions = segment_everything(segmenter, image, settings.everything)
    return pick(encoder, image, text, regions, settings)


def pick(
    encoder: DualEncoder, image: Image, text: Tensor, regions: Sequence[Region], settings: SalipSettings
) -> Proposal:
    """Choose among regions that are already there. Parameters as for :func:`propose`."""
    kept = of_area(regions, settings.area)
    if not kept:
        nothing = np.zeros(image.shape[:2], np.float32)
        return Proposal((), np.zeros(0, np.float32), (), Code.NO_REGION, nothing)
    crops = [crop(image, one.mask, settings.crop, settings.pad, settings.background) for one in kept]
    scores = similarity(embed_crops(encoder, crops), text)
    choice = choose(
        kept,
        scores,
        settings.k,
        duplicate=settings.duplicate,
        margin=settings.margin,
        similarity=settings.similarity,
    )
    return Proposal(kept, scores, choice.chosen, choice.code, paint(kept, scores), choice.margin)


def odds(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return e to the difference of each score (N,) to the best: softmax against its own maximum."""
    against: npt.NDArray[np.float32] = np.exp(scores - scores.max(initial=-np.inf)).astype(np.float32)
    return against


def paint(regions: Sequence[Region], scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the map (H, W) of :class:`Proposal` for N >= 1 regions and their scores (N,)."""
    painted = np.zeros(regions[0].mask.shape, np.float32)
    for region, value in zip(regions, odds(scores), strict=True):
        np.maximum(painted, value, out=painted, where=region.mask)
    return painted


def second_pass(segmenter: PromptableSegmenter, image: Image, boxes: Sequence[Box]) -> Mask:
    """Ask SAM with one box each and return the pixels (H, W) that any answer holds (SaLIP, Eq. 5).

    The released code joins exactly two masks, and that only for one data set; here it is every box's mask.
    """
    return joint_mask(segmenter, image, [VisualPrompt(box=box) for box in boxes])


def finish(segmenter: PromptableSegmenter, image: Image, proposal: Proposal, second: bool) -> Mask | Code:
    """Turn a proposal into a mask (H, W), or its code; NO-MASK where SAM's second pass marks nothing."""
    if proposal.code is not None:
        return proposal.code
    chosen = proposal.components()
    if second:
        mask = second_pass(segmenter, image, [one.box for one in chosen])
    else:
        mask = np.logical_or.reduce([one.mask for one in chosen])
    return mask if mask.any() else Code.NO_MASK


def segment(
    segmenter: PromptableSegmenter,
    encoder: DualEncoder,
    image: Image,
    text: Tensor,
    settings: SalipSettings,
) -> Mask | Code:
    """Return the mask (H, W) of what a text means, or the code why there is none; never a default mask.

    Parameters as for :func:`propose`.
    """
    proposal = propose(segmenter, encoder, image, text, settings)
    return finish(segmenter, image, proposal, settings.second_pass)
