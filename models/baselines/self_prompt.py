"""Self-Prompt-SAM: a few labelled images teach where to prompt (our own implementation of its idea).

Logistic regression at each place of the segmenter's embedding says whether the target lies there; the coarse
mask that results becomes a box and a point for the segmenter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from sklearn.linear_model import LogisticRegression

from models.baselines.contract import Context, Labels, found, needed_support
from models.contracts import Image, Point, PromptableSegmenter, VisualPrompt
from models.errors import Code, DatasetError
from models.evaluation.metrics import Mask
from models.labelled import Labelled
from models.segmenters.joint import joint_mask
from models.segmenters.prompts import tight_box

Visual = Literal["box", "point", "both"]

ITERATIONS = 1000
EROSIONS, DILATIONS = 3, 5
KERNEL = np.ones((5, 5), np.bool_)
PUSH = 20
"""Each side of the box is pushed out by a whole number of pixels below this."""


Grid = tuple[int, int]
"""(rows, columns) of an embedding."""


@dataclass(frozen=True)
class Places:
    """What a support set taught: which places of a segmenter's embedding show the target."""

    classifier: LogisticRegression

    def mask(self, segmenter: PromptableSegmenter, square: Image) -> Mask:
        """Return where the target is seen, each place as a block of pixels (S, S) of an image (S, S, 3)."""
        values, (rows, columns) = _embedding(segmenter, square)
        seen = self.classifier.predict(values).reshape(rows, columns)
        side = len(square)
        mask: Mask = seen[np.ix_(_nearest(side, rows), _nearest(side, columns))]
        return mask


class SelfPromptSam:
    """Prompts learnt from K labelled images; ``visual`` says which of its three prompts is given.

    A segmenter that understands boxes only gets the box.
    """

    name = "self-prompt-sam"
    labels: Labels = "support"
    uses_labels = True

    def __init__(self, visual: Visual = "box") -> None:
        self.visual = visual
        self._learnt: tuple[PromptableSegmenter, tuple[Labelled, ...], Places] | None = None

    def statement(self, segmenter: PromptableSegmenter) -> str:
        """Say which prompt was given, and that a support set taught it."""
        given = self._given(segmenter)
        prompt = "a box and a point" if given == "both" else f"a {given}"
        return f"A labelled support set taught where the target lies; the segmenter got {prompt} there."

    def segment(self, image: Image, context: Context) -> Mask | Code:
        """Return the mask (H, W); NO-COMPONENT where no place looks like the target, NO-MASK.

        Raises ConfigError (USAGE) without a support set, DatasetError (DATASET-INVALID) where that shows the
        target nowhere or everywhere.
        """
        segmenter = context.segmenter
        places = self._places(segmenter, needed_support(context, self.name))
        height, width = image.shape[:2]
        square = _squared(image)
        coarse = places.mask(segmenter, square)[:height, :width]
        if not coarse.any():
            return Code.NO_COMPONENT
        prompt = prompt_of(coarse, self._given(segmenter), np.random.default_rng(context.seed))
        return found(joint_mask(segmenter, square, [prompt])[:height, :width])

    def _given(self, segmenter: PromptableSegmenter) -> Visual:
        return self.visual if "points" in segmenter.understands else "box"

    def _places(self, segmenter: PromptableSegmenter, support: tuple[Labelled, ...]) -> Places:
        """Learn once for all images that are asked with the same segmenter and support set."""
        if self._learnt is None or self._learnt[0] is not segmenter or self._learnt[1] is not support:
            self._learnt = (segmenter, support, learn(segmenter, support))
        return self._learnt[2]


def learn(segmenter: PromptableSegmenter, support: Sequence[Labelled]) -> Places:
    """Fit logistic regression to the embeddings of labelled images, a mask's value at each place's centre.

    Raises DatasetError (DATASET-INVALID) where the masks hit every place or none.
    """
    features, labels = [], []
    for one in support:
        square = _squared(one.image)
        values, (rows, columns) = _embedding(segmenter, square)
        side = len(square)
        mask = np.zeros((side, side), np.bool_)
        mask[: one.mask.shape[0], : one.mask.shape[1]] = one.mask
        centres = np.ix_(_centres(side, rows), _centres(side, columns))
        features.append(values)
        labels.append(mask[centres].ravel())
    known = np.concatenate(labels)
    if known.all() or not known.any():
        message = (
            f"the masks of the {len(support)} support images show the target "
            f"{'everywhere' if known.any() else 'nowhere'} on the segmenter's grid; give others"
        )
        raise DatasetError(Code.DATASET_INVALID, message)
    return Places(LogisticRegression(max_iter=ITERATIONS).fit(np.concatenate(features), known))


def prompt_of(coarse: Mask, visual: Visual, rng: np.random.Generator) -> VisualPrompt:
    """Return the prompt that a coarse mask (H, W), not empty, becomes.

    The point is the pixel deepest inside the mask, ties by reading order. The box is the mask's after
    opening it (three erosions, five dilations) with every side pushed out by 0 to 19 pixels at random and
    clipped to the image; where nothing survives the erosions, the mask's own.
    """
    points = (_deepest(coarse),) if visual != "box" else ()
    if visual == "point":
        return VisualPrompt(points=points)
    eroded = ndimage.binary_erosion(coarse, KERNEL, EROSIONS, border_value=1)
    opened = ndimage.binary_dilation(eroded, KERNEL, DILATIONS) if eroded.any() else coarse
    x0, y0, x1, y1 = tight_box(opened)
    left, top, right, bottom = (float(push) for push in rng.integers(0, PUSH, 4))
    height, width = coarse.shape
    box = (
        max(0.0, x0 - left),
        max(0.0, y0 - top),
        min(float(width), x1 + right),
        min(float(height), y1 + bottom),
    )
    return VisualPrompt(box=box, points=points)


def _deepest(mask: Mask) -> Point:
    row, column = np.unravel_index(int(ndimage.distance_transform_edt(mask).argmax()), mask.shape)
    return Point(float(column), float(row))


def _squared(image: Image) -> Image:
    """Pad an image at the bottom or the right, so that any segmenter's grid spans it from edge to edge.

    Segmenters pad or stretch an oblong image each in their own way; a square one they all treat alike.
    """
    height, width = image.shape[:2]
    side = max(height, width)
    return np.pad(image, ((0, side - height), (0, side - width), (0, 0)))


def _embedding(segmenter: PromptableSegmenter, square: Image) -> tuple[npt.NDArray[np.float32], Grid]:
    """Return the embedding as one row of C numbers per place, and its grid."""
    embedding = segmenter.embed(square).float().cpu().numpy()
    channels, rows, columns = embedding.shape
    return embedding.reshape(channels, -1).T, (rows, columns)


def _centres(side: int, cells: int) -> npt.NDArray[np.intp]:
    """Return the pixel at the centre of each of ``cells`` along ``side`` pixels."""
    return ((2 * np.arange(cells) + 1) * side) // (2 * cells)


def _nearest(side: int, cells: int) -> npt.NDArray[np.intp]:
    """Return the cell in which each of ``side`` pixels has its centre."""
    return ((2 * np.arange(side) + 1) * cells) // (2 * side)
