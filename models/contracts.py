"""What a dual encoder and a promptable segmenter owe the method, so that every pair works."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import Tensor

from models.placement import Box, Placement

Image = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, RGB, already windowed for display (see :mod:`models.intensity`)."""


@dataclass(frozen=True)
class ImageTokens:
    """The output of the part of the image tower below the bottleneck, computed once per image.

    ``values`` is (C, *positions) float32 without padding; positions are (rows, columns), or one axis with the
    class token, where there is one, before rows * columns patches in reading order.
    """

    values: Tensor
    placement: Placement

    def grid(self, per_position: Tensor) -> Tensor:
        """Map numbers (N, *positions) to (N, rows, columns): class tokens have no place on the image."""
        rows, columns = self.placement.rows, self.placement.columns
        patches = per_position.flatten(1)[:, -rows * columns :]
        return patches.reshape(len(patches), rows, columns)


@dataclass(frozen=True)
class Pixels:
    """An image as an encoder's input: ``values`` (3, h, w) float32, normalised, and where it lies."""

    values: Tensor
    placement: Placement


class DualEncoder(Protocol):
    """A CLIP-like pair of towers with a place to cut the image tower for a bottleneck."""

    @property
    def scale(self) -> float:
        """Multiplier of the cosine between image and text, ``exp(logit_scale)``."""

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Return (N, D) float32 rows of unit length, independent of how the prompts are batched."""

    def preprocess(self, image: Image) -> Pixels:
        """Return what the image tower is given for an image."""

    def encode_pixels(self, pixels: Tensor, placement: Placement) -> Tensor:
        """Map inputs (N, 3, h, w) of one placement through the whole tower: (N, D) of unit length."""

    def tokens(self, image: Image) -> ImageTokens:
        """Return the tokens at the bottleneck. Expensive; cached by pixel hash."""

    def finish(self, tokens: Tensor) -> Tensor:
        """Map tokens (N, C, *positions) at the bottleneck to image embeddings (N, D) of unit length.

        Differentiable in ``tokens``; the weights stay without gradients.
        """


@runtime_checkable
class LayeredEncoder(DualEncoder, Protocol):
    """An encoder whose image tower is a row of blocks and can be cut after any of them."""

    @property
    def depth(self) -> int:
        """Number of blocks."""

    def cut(self, layer: int) -> Self:
        """Return the same encoder (shared weights and caches) with its bottleneck after block ``layer``.

        ``layer`` counts from 0. Raises ValueError outside ``0 <= layer < depth``.
        """

    def framed(self, framing: Literal["fit", "crop"]) -> Self:
        """Return the same encoder (shared weights) that fits, or crops, an image into its square."""


@runtime_checkable
class CalibratedEncoder(DualEncoder, Protocol):
    """An encoder that knows how likely a text names what lies at a place."""

    def similarity(self, tokens: Tensor, text: Tensor) -> Tensor:
        """Map tokens (N, C, *positions) and one text row (D,) to calibrated logits (N, *positions).

        A logit above 0 says that the text names what lies at that place more likely than not. The saliency of
        a place is the information that passes there, weighed by this probability.
        """


@dataclass(frozen=True)
class Point:
    """A point prompt in pixels of the original image; ``inside`` says whether the object lies there."""

    x: float
    y: float
    inside: bool = True


@dataclass(frozen=True)
class VisualPrompt:
    """One query to a segmenter: a box, points, both, or nothing at all (un-prompted)."""

    box: Box | None = None
    points: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Candidates:
    """Masks that a segmenter proposes: K for each of N prompts.

    ``probability`` is (N, K, H, W) float32 on the original image's pixels; ``quality`` (N, K) float32 is the
    segmenter's own estimate of a mask's intersection over union with the object.
    """

    probability: npt.NDArray[np.float32]
    quality: npt.NDArray[np.float32]

    def best(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return each prompt's mask (N, H, W) of highest quality, ties by index, and its quality (N,)."""
        rows = np.arange(len(self.quality))
        chosen = self.quality.argmax(1) if len(rows) else np.zeros(0, np.intp)
        return self.probability[rows, chosen], self.quality[rows, chosen]


class PromptableSegmenter(Protocol):
    """A SAM-like model: the image is embedded once (expensive), prompts are decoded many times (cheap)."""

    @property
    def understands(self) -> frozenset[str]:
        """Which kinds of prompt the model was made for: ``boxes``, ``points``, ``nothing``."""

    def embed(self, image: Image) -> Tensor:
        """Return the image embedding (C, h, w). Expensive; cached by pixel hash."""

    def decode(
        self,
        embedding: Tensor,
        size: tuple[int, int],
        prompts: Sequence[VisualPrompt],
        multimask: bool = False,
    ) -> Candidates:
        """Return masks on the (height, width) = ``size`` grid of the original image.

        One mask per prompt, or with ``multimask`` the model's three. Raises ModelError
        (PROMPT-KIND-UNSUPPORTED) for a prompt of a kind that the model does not understand.
        """
