"""What a dual encoder and a promptable segmenter owe the method, so that every pair works."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

Image = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, RGB, already windowed for display (see :mod:`models.intensity`)."""

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels of the original image, x to the right, y down, half open."""


@dataclass(frozen=True)
class Placement:
    """Where an encoder's token grid lies on the image.

    The image was scaled so that its content covers the first ``rows`` x ``columns`` tokens of the grid; the
    rest of the grid is padding. ``height`` and ``width`` are those of the original image.
    """

    height: int
    width: int
    rows: int
    columns: int


@dataclass(frozen=True)
class ImageTokens:
    """The output of the part of the image tower below the bottleneck, computed once per image.

    ``values`` is (C, rows, columns) float32 without padding.
    """

    values: Tensor
    placement: Placement


class DualEncoder(Protocol):
    """A CLIP-like pair of towers with a place to cut the image tower for a bottleneck."""

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Return (N, D) float32 rows of unit length, independent of how the prompts are batched."""

    def tokens(self, image: Image) -> ImageTokens:
        """Return the tokens at the bottleneck. Expensive; cached by pixel hash."""

    def finish(self, tokens: Tensor) -> Tensor:
        """Map tokens (N, C, rows, columns) at the bottleneck to image embeddings (N, D) of unit length."""

    def similarity(self, tokens: Tensor, text: Tensor) -> Tensor:
        """Map tokens (N, C, rows, columns) and one text row (D,) to calibrated logits (N, rows, columns).

        A logit above 0 says that the text names what lies at that place more likely than not. The saliency of
        a place is the information that passes there, weighed by this probability.
        """


@dataclass(frozen=True)
class Candidates:
    """Masks that a segmenter proposes for boxes: ``probability`` (N, H, W) float32, ``quality`` (N,) float32.

    ``quality`` is the segmenter's own estimate of the mask's intersection over union with the object.
    """

    probability: npt.NDArray[np.float32]
    quality: npt.NDArray[np.float32]


class PromptableSegmenter(Protocol):
    """A SAM-like model: the image is embedded once (expensive), prompts are decoded many times (cheap)."""

    def embed(self, image: Image) -> Tensor:
        """Return the image embedding (C, h, w). Expensive; cached by pixel hash."""

    def decode(self, embedding: Tensor, size: tuple[int, int], boxes: Sequence[Box]) -> Candidates:
        """Return one mask per box on the (height, width) = ``size`` grid of the original image."""
