"""The vision transformer of BiomedCLIP and of OpenAI's CLIP, which can be cut after any of its blocks.

BiomedCLIP's tower is timm's ViT-B/16: patch convolution with bias, exact GELU, no norm before the blocks.
OpenAI's has neither that bias nor the exact GELU, and a norm before the blocks. Both read the image embedding
from the class token, so the last block is computed for that token alone: an exact saving.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from models.encoders.transformer import Block


@dataclass(frozen=True)
class VisionArchitecture:
    """Shape of a tower: images of ``side`` pixels in patches of ``patch``, ``depth`` blocks of ``width``."""

    width: int = 768
    depth: int = 12
    heads: int = 12
    patch: int = 16
    side: int = 224
    embedding: int = 512
    epsilon: float = 1e-6
    patch_bias: bool = True
    norm_before: bool = False
    quick_gelu: bool = False

    @property
    def grid(self) -> int:
        """Patches on each side."""
        return self.side // self.patch


class VisionTransformer(nn.Module):
    """Pixels (N, 3, side, side) in, image embeddings (N, embedding) out, not yet of unit length."""

    def __init__(self, architecture: VisionArchitecture) -> None:
        super().__init__()
        self.architecture = arch = architecture
        self.patches = nn.Conv2d(3, arch.width, arch.patch, arch.patch, bias=arch.patch_bias)
        self.class_token = nn.Parameter(torch.zeros(arch.width))
        self.positions = nn.Parameter(torch.zeros(1 + arch.grid**2, arch.width))
        self.norm_before = nn.LayerNorm(arch.width, arch.epsilon) if arch.norm_before else nn.Identity()
        self.blocks = nn.ModuleList(
            Block(arch.width, arch.heads, arch.epsilon, arch.quick_gelu) for _ in range(arch.depth)
        )
        self.norm = nn.LayerNorm(arch.width, arch.epsilon)
        self.projection = nn.Linear(arch.width, arch.embedding, bias=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Run the whole tower."""
        return self.finish(self.embed(pixels), -1)

    def embed(self, pixels: Tensor) -> Tensor:
        """Return the input of the first block (N, 1 + patches, C): the class token, then reading order."""
        patches = self.patches(pixels).flatten(2).transpose(1, 2)
        token = self.class_token.expand(len(pixels), 1, -1)
        tokens: Tensor = self.norm_before(torch.cat([token, patches], dim=1) + self.positions)
        return tokens

    def prefix(self, pixels: Tensor, layer: int) -> Tensor:
        """Return the output of block ``layer``, counted from 0: (N, 1 + patches, C)."""
        values = self.embed(pixels)
        for block in self.blocks[: layer + 1]:
            values = block(values)
        return values

    def finish(self, tokens: Tensor, layer: int) -> Tensor:
        """Run what comes after block ``layer`` (-1: all blocks) on (N, 1 + patches, C): (N, embedding).

        Of the last block only the class token is computed; nothing reads the others.
        """
        rest = list(self.blocks)[layer + 1 :]
        for block in rest[:-1]:
            tokens = block(tokens)
        if rest:
            tokens = cast("Block", rest[-1]).first(tokens)
        embedding: Tensor = self.projection(self.norm(tokens[:, 0]))
        return embedding
