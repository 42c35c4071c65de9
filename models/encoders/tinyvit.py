"""The image tower of LiteMedSAM: TinyViT at 256 x 256 with the patch convolutions reduced to 1 x 1.

timm's blocks carry the weights once the names of the upstream checkpoint are translated. One forward pass
serves both the dual encoder (pyramid of features) and SAM (embedding), so the tower keeps the last passes
by pixel hash: whoever asks second pays nothing.

Upstream: LiteMedSAM, branch of bowang-lab/MedSAM (Apache-2.0).
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from timm.models.tiny_vit import ConvNorm, TinyVit
from torch import Tensor, nn

from models.contracts import Image
from models.errors import Code, ModelError
from models.pixel_cache import PixelCache
from models.placement import Placement

SIDE = 256
"""Pixels on the longer side that the tower sees."""

EMBEDDING_SIDE = 64
"""Tokens on each side of the SAM embedding."""

TOKEN_SIDE = 32
"""Tokens on each side of the pyramid that the dual encoder reads."""

PYRAMID_CHANNELS = 128 + 160 + 320 + 256
"""Stage 1, stage 2, stage 3 and neck, concatenated."""


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of (N, C, H, W), as in SAM's neck."""

    def forward(self, values: Tensor) -> Tensor:
        """Normalise (N, C, H, W) over C."""
        normal: Tensor = super().forward(values.permute(0, 2, 3, 1))
        return normal.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Encoding:
    """One forward pass over one image.

    ``pyramid`` (864, 32, 32) float16, padded tokens included; ``embedding`` (256, 64, 64) float16.
    """

    pyramid: Tensor
    embedding: Tensor
    placement: Placement

    def nbytes(self) -> int:
        """Return the memory that both tensors take."""
        return self.pyramid.nbytes + self.embedding.nbytes


def scaled_size(height: int, width: int) -> tuple[int, int]:
    """Return (rows, columns) of an image of (height, width) pixels once its longest side is 256."""
    scale = SIDE / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def placement_of(height: int, width: int) -> Placement:
    """Return where an image of (height, width) pixels lies on the token grid: longest side to 256, padded."""
    scale = SIDE / max(height, width)
    cell = SIDE // TOKEN_SIDE
    rows = max(1, round(height * scale / cell))
    columns = max(1, round(width * scale / cell))
    return Placement.whole(height, width, rows, columns)


def preprocess(image: Image) -> Tensor:
    """Scale the longest side to 256, min-max to [0, 1], pad bottom and right (LiteMedSAM's own rule).

    Returns (3, 256, 256) float32. A constant image becomes zeros.
    """
    height, width = image.shape[:2]
    size = scaled_size(height, width)
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).unsqueeze(0).float()
    pixels = F.interpolate(pixels, size=size, mode="bilinear", align_corners=False, antialias=True)[0]
    low, high = pixels.min(), pixels.max()
    pixels = (pixels - low) / (high - low).clamp_min(1e-8)
    return F.pad(pixels, (0, SIDE - size[1], 0, SIDE - size[0]))


def _translate(name: str) -> str:
    """Translate a name of the upstream checkpoint to timm's."""
    name = name.replace("patch_embed.seq.0.", "patch_embed.conv1.").replace(
        "patch_embed.seq.2.", "patch_embed.conv2."
    )
    if name.startswith("layers."):
        stage, rest = name.removeprefix("layers.").split(".", 1)
        if rest.startswith("downsample"):
            stage = str(int(stage) + 1)
        name = f"stages.{stage}.{rest}"
    return name.replace(".c.weight", ".conv.weight")


def _fold_batch_norms(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, ConvNorm):
            setattr(module, name, child.fuse())
        else:
            _fold_batch_norms(child)


class TinyVitTower(nn.Module):
    """TinyViT with SAM's neck; 256 x 256 in, a feature pyramid and the SAM embedding out."""

    def __init__(self, cache_bytes: int = 512 * 2**20) -> None:
        super().__init__()
        trunk = TinyVit(
            num_classes=0,
            embed_dims=(64, 128, 160, 320),
            depths=(2, 2, 6, 2),
            num_heads=(2, 4, 5, 10),
            window_sizes=(7, 7, 14, 7),
            drop_path_rate=0.0,
        )
        for stem in (trunk.patch_embed.conv1, trunk.patch_embed.conv2):
            stem.conv = nn.Conv2d(stem.conv.in_channels, stem.conv.out_channels, 1, bias=False)
        # Upstream keeps the resolution where the width becomes 320; timm would halve it once more.
        cast(nn.Conv2d, trunk.get_submodule("stages.3.downsample.conv2.conv")).stride = (1, 1)
        self.patch_embed = trunk.patch_embed
        self.stages = trunk.stages
        self.neck = nn.Sequential(
            nn.Conv2d(320, 256, 1, bias=False),
            LayerNorm2d(256, eps=1e-6),
            nn.Conv2d(256, 256, 3, padding=1, bias=False),
            LayerNorm2d(256, eps=1e-6),
        )
        self._cache: PixelCache[Encoding] = PixelCache(cache_bytes, Encoding.nbytes)
        self.requires_grad_(False)
        self.eval()

    def load_upstream(self, state: dict[str, Tensor]) -> None:
        """Load the ``image_encoder.`` part of a LiteMedSAM checkpoint.

        Raises ModelError (MODEL-HASH-MISMATCH is checked before; this is BUNDLE-INVALID) when names or
        shapes differ.
        """
        prefix = "image_encoder."
        own = {
            _translate(name.removeprefix(prefix)): value
            for name, value in state.items()
            if name.startswith(prefix) and not name.startswith(f"{prefix}norm_head")
        }
        own = {name: value for name, value in own.items() if not name.startswith("head.")}
        try:
            self.load_state_dict(own, strict=True)
        except RuntimeError as error:
            message = f"the LiteMedSAM checkpoint does not fit its architecture: {error}"
            raise ModelError(Code.BUNDLE_INVALID, message) from error
        # Equal to 4e-6 and a third faster on a CPU: the batch norms fold into the convolutions before them.
        _fold_batch_norms(self)
        self.requires_grad_(False)
        self.to(memory_format=torch.channels_last)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, 3, 256, 256) to the pyramid (N, 864, 32, 32) and the embedding (N, 256, 64, 64)."""
        values = self.patch_embed(pixels.contiguous(memory_format=torch.channels_last))
        levels = []
        for stage in self.stages:
            values = stage(values)
            levels.append(values)
        embedding = self.neck(values)
        levels = [*levels[1:], embedding]
        pooled = [F.adaptive_avg_pool2d(level, TOKEN_SIDE) for level in levels]
        return torch.cat(pooled, dim=1), embedding

    @torch.inference_mode()
    def encode(self, image: Image) -> Encoding:
        """Return the encoding of one image; the same pixels are encoded once while they stay in the cache."""
        return self._cache.get(image, self._encode)

    def _encode(self, image: Image) -> Encoding:
        device = next(self.parameters()).device
        pyramid, embedding = self(preprocess(image).unsqueeze(0).to(device))
        height, width = image.shape[:2]
        return Encoding(pyramid[0].half(), embedding[0].half(), placement_of(height, width))
