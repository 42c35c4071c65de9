"""A stub SAM that knows its regions and a stub CLIP that sees the mean colour, for tests of SaLIP."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.contracts import Candidates, Image, Pixels, VisualPrompt
from models.placement import Placement
from models.segmenters.everything import EverythingSettings, Region
from models.segmenters.prompts import tight_box

RED = torch.tensor([1.0, 0.0, 0.0])


def region(mask: np.ndarray) -> Region:
    return Region(mask, tight_box(mask), 0.9, 0.95, int(mask.sum()))


def rectangle(size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    """A mask (height, width) = ``size`` with (x0, y0, x1, y1) set."""
    mask = np.zeros(size, bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


class ColourEncoder:
    """Embeds a picture as its mean colour; keeps what it was shown."""

    scale = 100.0

    def __init__(self) -> None:
        self.seen: list[Image] = []

    def preprocess(self, image: Image) -> Pixels:
        self.seen.append(image)
        pixels = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1) / 255.0
        return Pixels(F.adaptive_avg_pool2d(pixels, 4), Placement.whole(*image.shape[:2], 4, 4))

    def encode_pixels(self, pixels: Tensor, placement: Placement) -> Tensor:
        assert placement.height == placement.width
        return F.normalize(pixels.mean((2, 3)), dim=1)


@dataclass
class ListedSegmenter:
    """Proposes the regions it was given; answers a box with the filled box, shrunk by ``inset`` pixels."""

    regions: tuple[Region, ...]
    inset: int = 0
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    asked: list[EverythingSettings] = field(default_factory=list)
    understands = frozenset({"boxes"})

    def embed(self, image: Image) -> Tensor:
        return torch.zeros(1, 1, 1)

    def decode(
        self,
        embedding: Tensor,
        size: tuple[int, int],
        prompts: Sequence[VisualPrompt],
        multimask: bool = False,
    ) -> Candidates:
        masks = np.zeros((len(prompts), 1, *size), np.float32)
        for mask, prompt in zip(masks, prompts, strict=True):
            assert prompt.box is not None
            self.boxes.append(prompt.box)
            x0, y0, x1, y1 = (round(side) for side in prompt.box)
            mask[0, y0 + self.inset : y1 - self.inset, x0 + self.inset : x1 - self.inset] = 0.9
        return Candidates(masks, np.ones((len(prompts), 1), np.float32))
