"""SAM-Med2D: SAM ViT-B at 256 x 256 with an adapter in every block of the image encoder."""

from typing import ClassVar

import numpy as np
import torch
from segment_anything.modeling.image_encoder import Block, window_partition, window_unpartition
from torch import Tensor, nn

from models.contracts import Image
from models.segmenters.family import Frame
from models.segmenters.vit import SIZES, VitSam, VitSize, normalise


class Adapter(nn.Module):
    """Gates the channels by their mean, then lets neighbours speak: what was taught beside the MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = width // 4
        self.channel = nn.Sequential(
            nn.Linear(width, hidden, bias=False),
            nn.ReLU(),
            nn.Linear(hidden, width, bias=False),
            nn.Sigmoid(),
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, 4, stride=2, padding=1, bias=False),
            nn.ReLU(),
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (N, rows, columns, C), both counts even, to the same shape."""
        gate = self.channel(tokens.mean((1, 2)))
        gated = (tokens * gate[:, None, None]).permute(0, 3, 1, 2)
        normal: Tensor = self.norm(tokens + self.spatial(gated).permute(0, 2, 3, 1))
        return normal


class AdapterBlock(nn.Module):
    """A block of segment-anything's image encoder with an adapter beside its MLP."""

    def __init__(self, block: Block, width: int) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2, self.mlp = block.norm1, block.attn, block.norm2, block.mlp
        self.window_size = block.window_size
        self.Adapter = Adapter(width)  # the published weights spell it so

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (N, rows, columns, C) to the same shape."""
        tokens = tokens + self._attend(self.norm1(tokens))
        normal = self.norm2(tokens)
        out: Tensor = tokens + self.mlp(normal) + self.Adapter(normal)
        return out

    def _attend(self, tokens: Tensor) -> Tensor:
        if self.window_size == 0:
            attended: Tensor = self.attn(tokens)
            return attended
        windows, padded = window_partition(tokens, self.window_size)
        whole: Tensor = window_unpartition(
            self.attn(windows), self.window_size, padded, tuple(tokens.shape[1:3])
        )
        return whole


class SamMed2d(VitSam):
    """SAM-Med2D: both sides to 256 by nearest neighbour, SAM's mean and deviation; boxes and points."""

    title = "SAM-Med2D"
    understands: ClassVar = frozenset({"boxes", "points"})
    published_side: ClassVar = 256

    def __init__(self, size: str | VitSize = "vit_b", side: int | None = None) -> None:
        super().__init__(size, side)
        width = (SIZES[size] if isinstance(size, str) else size).width
        self.image_encoder.blocks = nn.ModuleList(
            AdapterBlock(block, width) for block in self.image_encoder.blocks
        )
        self.requires_grad_(False)
        self.eval()

    def preprocess(self, image: Image) -> Tensor:
        """Map an image (H, W, 3) to (3, side, side)."""
        height, width = image.shape[:2]
        steps = np.arange(self.side) / self.side
        rows, columns = (steps * height).astype(np.intp), (steps * width).astype(np.intp)
        return normalise(torch.from_numpy(image[rows[:, None], columns]).permute(2, 0, 1))

    def frame(self, size: tuple[int, int]) -> Frame:
        """Return the stretched frame."""
        return Frame.stretched(size, self.side)
