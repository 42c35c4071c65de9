"""SAMAug: a second point, placed by a rule inside the mask that the first one gives (arXiv 2307.01187).

The released code draws the first point from the ground truth and confuses x with y when it measures
distances. Here the first point is the maximum of the saliency map, so that no label is used, and a place is
(row, column) until it becomes a point.
"""

from typing import Literal

import numpy as np
from PIL import Image as Pillow
from skimage.filters import rank

from models.baselines.contract import Context, Labels, found
from models.contracts import Image, Point, PromptableSegmenter, VisualPrompt
from models.errors import Code, ModelError
from models.evaluation.metrics import Map, Mask
from models.masks.binarise import otsu
from models.segmenters.joint import joint_mask

Rule = Literal["random", "entropy", "distance", "saliency"]
"""``random``: any pixel of the mask; ``entropy``: the pixel whose 9 x 9 patch differs most in entropy from
the first point's; ``distance``: the pixel farthest from the first point; ``saliency``: a random pixel of the
salient part of the mask (the paper asks a network for what is salient, here it is the map of the prompt)."""

PATCH = 9

Place = tuple[int, int]
"""(row, column) of a pixel."""


class SamAug:
    """Two positive points: the first from the saliency map, the second by ``rule``."""

    name = "samaug"
    labels: Labels = "none"
    uses_labels = False

    def __init__(self, rule: Rule = "distance") -> None:
        self.rule = rule

    def statement(self, segmenter: PromptableSegmenter) -> str:
        """Say where the two points come from."""
        del segmenter
        return (
            "The segmenter got the maximum of the saliency map as its first point, not a pixel of the truth, "
            f"and a second point by the rule {self.rule}. No labels used."
        )

    def segment(self, image: Image, context: Context) -> Mask | Code:
        """Return the mask (H, W) of both points, NO-MASK, or the code why there is no saliency map.

        Raises ModelError (PROMPT-KIND-UNSUPPORTED) for a segmenter that does not understand points.
        """
        segmenter = context.segmenter
        if "points" not in segmenter.understands:
            message = "SAMAug asks with points, which this segmenter does not understand; choose another one"
            raise ModelError(Code.PROMPT_KIND_UNSUPPORTED, message)
        saliency = context.saliency()
        if isinstance(saliency, Code):
            return saliency
        row, column = np.unravel_index(int(saliency.argmax()), saliency.shape)
        first = (int(row), int(column))
        mask = joint_mask(segmenter, image, [VisualPrompt(points=(point(first),))])
        if not mask.any():
            return Code.NO_MASK
        rng = np.random.default_rng(context.seed)
        second = second_place(self.rule, image, mask, first, saliency, rng)
        return found(joint_mask(segmenter, image, [VisualPrompt(points=(point(first), point(second)))]))


def point(place: Place) -> Point:
    """Return a pixel as a positive point: x is the column, y the row."""
    row, column = place
    return Point(float(column), float(row))


def second_place(
    rule: Rule, image: Image, mask: Mask, first: Place, saliency: Map, rng: np.random.Generator
) -> Place:
    """Return the pixel of a mask (H, W), not empty, that a rule picks; ties by reading order.

    Parameters
    ----------
    rule
        See :data:`Rule`.
    image, saliency
        (H, W, 3) uint8 and (H, W) float32, on the mask's grid.
    first
        The first point.
    rng
        For the rules that draw.
    """
    if rule == "saliency":
        salient = mask & otsu(saliency)
        mask = salient if salient.any() else mask
    places = np.argwhere(mask)
    if rule in {"random", "saliency"}:
        row, column = places[rng.integers(len(places))]
    elif rule == "distance":
        row, column = places[((places - np.asarray(first)) ** 2).sum(1).argmax()]
    else:
        information = local_entropy(image)
        row, column = places[np.abs(information[mask] - information[first]).argmax()]
    return int(row), int(column)


def local_entropy(image: Image) -> Map:
    """Return the entropy in bits (H, W) of the grey values around each pixel, patches cut at the border."""
    grey = np.array(Pillow.fromarray(image).convert("L"))
    information: Map = rank.entropy(grey, np.ones((PATCH, PATCH), np.uint8)).astype(np.float32)
    return information
