"""A small vision transformer of random weights, and a CLIP-like encoder on it, to look at gradients."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.contracts import Image, ImageTokens, Pixels
from models.placement import Placement

SIDE, PATCH, WIDTH, DEPTH = 32, 8, 24, 4
GRID = SIDE // PATCH
TEXT = F.normalize(torch.randn(WIDTH, generator=torch.Generator().manual_seed(5)), dim=0)


def trunk() -> nn.Module:
    """timm's ViT, all weights drawn from one seed and large enough for the tokens to differ."""
    model = timm.models.vision_transformer.VisionTransformer(
        img_size=SIDE, patch_size=PATCH, embed_dim=WIDTH, depth=DEPTH, num_heads=2, num_classes=0
    ).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(0.2 * torch.randn(weight.shape, generator=generator))
            if "norm" in name and name.endswith("weight"):
                weight.add_(1.0)
    return model


class SmallVit:
    """A LayeredEncoder whose weights still ask for gradients, as those of a careless user's would."""

    scale = 20.0
    depth = DEPTH

    def __init__(self, model: nn.Module, layer: int = 1) -> None:
        self.model, self.layer = model, layer

    def cut(self, layer: int) -> Self:
        if not 0 <= layer < self.depth:
            raise ValueError(layer)
        return type(self)(self.model, layer)

    def framed(self, framing: str) -> Self:
        return self

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        return TEXT.expand(len(prompts), -1)

    def preprocess(self, image: Image) -> Pixels:
        values = torch.from_numpy(image.astype(np.float32) / 255.0 - 0.5).permute(2, 0, 1)
        squashed = F.interpolate(values[None], (SIDE, SIDE), mode="bilinear", antialias=True)[0]
        return Pixels(squashed, Placement.whole(*image.shape[:2], GRID, GRID))

    def encode_pixels(self, pixels: Tensor, placement: Placement) -> Tensor:
        return F.normalize(self.model(pixels), dim=1)

    def prefix(self, pixels: Tensor) -> Tensor:
        values = self.model._pos_embed(self.model.patch_embed(pixels))
        return self.model.blocks[: self.layer + 1](values)

    def tokens(self, image: Image) -> ImageTokens:
        pixels = self.preprocess(image)
        with torch.no_grad():
            return ImageTokens(self.prefix(pixels.values[None])[0].T.contiguous(), pixels.placement)

    def finish(self, tokens: Tensor) -> Tensor:
        values = self.model.blocks[self.layer + 1 :](tokens.transpose(1, 2))
        return F.normalize(self.model.norm(values)[:, 0], dim=1)


class AtLastNorm2(SmallVit):
    """The same tower hooked where the papers' released code hooks it: the last block's second norm."""

    def tokens(self, image: Image) -> ImageTokens:
        pixels, last = self.preprocess(image), self.model.blocks[-1]
        with torch.no_grad():
            before = SmallVit(self.model, self.depth - 2).prefix(pixels.values[None])
            self.residual = before + last.ls1(last.attn(last.norm1(before)))
            return ImageTokens(last.norm2(self.residual)[0].T.contiguous(), pixels.placement)

    def finish(self, tokens: Tensor) -> Tensor:
        values = self.residual + self.model.blocks[-1].mlp(tokens.transpose(1, 2))
        return F.normalize(self.model.norm(values)[:, 0], dim=1)


def speckle(height: int = 40, width: int = 40, seed: int = 0) -> Image:
    """An image (height, width, 3) of noise, grey."""
    grey = np.random.default_rng(seed).integers(0, 256, (height, width, 1), dtype=np.uint8)
    return np.repeat(grey, 3, axis=2)
