"""From a coarse mask to the prompts that a segmenter understands, and from its answers to one mask.

MedCLIP-SAMv2, section 3.2: boxes around, or points inside, each connected component. What the released code
does otherwise, and is not done here: one box [0, 0, W, H] where the mask is empty (it names what nobody
found), points drawn from an unseeded global generator, an error below as many foreground pixels as points,
and one option that averages over candidates for points but over prompts for boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from models.contracts import Point, PromptableSegmenter, VisualPrompt
from models.masks.components import widen
from models.placement import Box

Mask = npt.NDArray[np.bool_]
Kind = Literal["boxes", "points", "both"]
Policy = Literal["single", "best"]


@dataclass(frozen=True)
class PromptSettings:
    """How a coarse mask becomes prompts.

    Attributes
    ----------
    kind
        ``boxes``, ``points`` or ``both`` in each prompt.
    merged
        One prompt for all components together instead of one for each.
    margin
        Each side of a box is pushed out by this share of its length.
    points, negatives
        Points inside the component, and points outside every component.
    """

    kind: Kind = "boxes"
    merged: bool = False
    margin: float = 0.0
    points: int = 10
    negatives: int = 0


def visual_prompts(
    components: Sequence[Mask], settings: PromptSettings, seed: int
) -> tuple[VisualPrompt, ...]:
    """Return one prompt for each component (H, W) that is not empty, or one for their union.

    No component, or only empty ones, gives no prompt. The points of one component depend on ``seed`` and on
    its place in the row alone.
    """
    filled = [component for component in components if component.any()]
    if not filled:
        return ()
    together: Mask = np.logical_or.reduce(filled)
    prompts = []
    for index, mask in enumerate([together] if settings.merged else filled):
        box = None
        points: tuple[Point, ...] = ()
        if settings.kind != "points":
            box = widen(tight_box(mask), settings.margin, (0.0, 0.0), (mask.shape[0], mask.shape[1]))
        if settings.kind != "boxes":
            rng = np.random.default_rng((seed, index))
            inside = sample_points(mask, settings.points, rng)
            points = inside + sample_points(~together, settings.negatives, rng, inside=False)
        prompts.append(VisualPrompt(box, points))
    return tuple(prompts)


def tight_box(mask: Mask) -> Box:
    """Return the box (x0, y0, x1, y1), half open, of a mask (H, W). Raises ValueError for an empty one."""
    rows, columns = np.nonzero(mask)
    if len(rows) == 0:
        raise ValueError("an empty mask has no box")
    return (
        float(columns.min()),
        float(rows.min()),
        float(columns.max() + 1),
        float(rows.max() + 1),
    )


def sample_points(mask: Mask, count: int, rng: np.random.Generator, inside: bool = True) -> tuple[Point, ...]:
    """Draw ``count`` distinct pixels of a mask (H, W), all with the same chance; all of them if it has fewer.

    ``inside`` is what the points tell the segmenter: whether the object lies there.
    """
    pixels = np.flatnonzero(mask)
    drawn = rng.choice(pixels, min(count, len(pixels)), replace=False)
    rows, columns = np.unravel_index(drawn, mask.shape)
    return tuple(Point(float(x), float(y), inside) for x, y in zip(columns, rows, strict=True))


def ask(
    segmenter: PromptableSegmenter,
    embedding: Tensor,
    size: tuple[int, int],
    prompts: Sequence[VisualPrompt],
    policy: Policy = "single",
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return one probability map (N, H, W) and its predicted IoU (N,) for each prompt.

    ``single`` is the mask that the segmenter gives when asked for one; ``best`` the one of its several
    candidates with the highest predicted IoU, which suits an ambiguous prompt such as one point.

    Raises
    ------
    ModelError
        PROMPT-KIND-UNSUPPORTED, as the segmenter's ``decode``.
    """
    return segmenter.decode(embedding, size, prompts, multimask=policy == "best").best()


def union(masks: npt.NDArray[np.bool_]) -> Mask:
    """Return where any of the masks (N, H, W) is: (H, W). No mask gives an empty one."""
    joined: Mask = np.logical_or.reduce(masks, axis=0)
    return joined
