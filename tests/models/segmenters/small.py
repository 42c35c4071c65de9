"""Segmenters of the true architecture, but small, and pictures for them."""

from collections.abc import Sequence

import numpy as np
import torch
from segment_anything.modeling import Sam as UpstreamSam
from torch import Tensor

from models.contracts import Candidates, Image, VisualPrompt
from models.segmenters.sam import Sam
from models.segmenters.vit import MEAN, STD, VitSam, VitSize

SMALL = VitSize(width=32, depth=3, heads=2, global_blocks=(1,))
SIDE = 128


def small(kind: type[VitSam], side: int = SIDE, seed: int = 0) -> VitSam:
    """A segmenter with random weights, also where the architecture would start with zeros."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        segmenter = kind(SMALL, side)
        for values in segmenter.image_encoder.parameters():
            values.copy_(torch.randn_like(values) * 0.2)
    return segmenter


def upstream(sam: Sam) -> UpstreamSam:
    """segment_anything's own class around the same weights."""
    return UpstreamSam(
        sam.image_encoder, sam.prompt_encoder, sam.mask_decoder, pixel_mean=list(MEAN), pixel_std=list(STD)
    ).eval()


def noise(height: int, width: int, seed: int = 0) -> Image:
    """Blobs, so that neighbouring pixels are alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return np.ascontiguousarray(np.kron(coarse, np.ones((8, 8, 1), np.uint8))[:height, :width])


class BoxStub:
    """Answers a box with the filled box, a point with the square around it; quality is what a test says."""

    understands = frozenset({"boxes", "points"})

    def __init__(self, qualities: tuple[float, ...] = (0.5,)) -> None:
        self.qualities = qualities
        self.asked: list[VisualPrompt] = []

    def embed(self, image: Image) -> Tensor:
        return torch.zeros(1, 1, 1)

    def decode(
        self,
        embedding: Tensor,
        size: tuple[int, int],
        prompts: Sequence[VisualPrompt],
        multimask: bool = False,
    ) -> Candidates:
        """Candidate k is the box shrunk by k pixels."""
        self.asked += prompts
        qualities = self.qualities if multimask else self.qualities[:1]
        masks = np.zeros((len(prompts), len(qualities), *size), np.float32)
        for candidates, prompt in zip(masks, prompts, strict=True):
            for shrink, mask in enumerate(candidates):
                x0, y0, x1, y1 = (round(v) for v in prompt.box or _around(prompt, size))
                mask[y0 + shrink : y1 - shrink, x0 + shrink : x1 - shrink] = 0.9
        return Candidates(masks, np.tile(np.float32(qualities), (len(prompts), 1)))


def _around(prompt: VisualPrompt, size: tuple[int, int]) -> tuple[float, float, float, float]:
    x, y = prompt.points[0].x, prompt.points[0].y
    return (max(0, x - 3), max(0, y - 3), min(size[1], x + 4), min(size[0], y + 4))
