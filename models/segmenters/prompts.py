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
    """How a component becomes prompts.

    Attributes
    ----------
    kind
        ``boxes``, ``points`` or ``both`` in each prompt.
    points, negatives
        Points inside the component, and points outside every component.
    margins, jitter
        Each side of a box is pushed out by one of ``margins`` of its length, a prompt for each; all of them
        are moved together by up to ``jitter`` of its sides.
    """

    kind: Kind = "boxes"
    points: int = 10
    negatives: int = 0
    margins: tuple[float, ...] = (0.0,)
    jitter: float = 0.0


def visual_prompts(
    components: Sequence[Mask], settings: PromptSettings, rng: np.random.Generator
) -> tuple[tuple[VisualPrompt, ...], ...]:
    """Return for each component (H, W), none of them empty, its prompts: one per margin, or one of points."""
    if not components:
        return ()
    outside = ~np.logical_or.reduce(components)
    return tuple(_prompts(mask, outside, settings, rng) for mask in components)


def _prompts(
    mask: Mask, outside: Mask, settings: PromptSettings, rng: np.random.Generator
) -> tuple[VisualPrompt, ...]:
    shift = rng.uniform(-settings.jitter, settings.jitter, 2)
    points: tuple[Point, ...] = ()
    if settings.kind != "boxes":
        points = sample_points(mask, settings.points, rng)
        points += sample_points(outside, settings.negatives, rng, inside=False)
    if settings.kind == "points":
        return (VisualPrompt(None, points),)
    moved, size = (float(shift[0]), float(shift[1])), (mask.shape[0], mask.shape[1])
    boxes = (widen(tight_box(mask), margin, moved, size) for margin in settings.margins)
    return tuple(VisualPrompt(box, points) for box in boxes)


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
