"""The members of the SAM family whose image encoder is segment-anything's ViT: SAM, MedSAM, SAM-Med2D."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import torch
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn

from models.contracts import Image
from models.errors import Code, ModelError
from models.pixel_cache import PixelCache
from models.segmenters.family import CHANNELS, SamFamily

PATCH = 16
CACHE_BYTES = 256 * 2**20

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
"""Per channel, RGB, on the scale 0 to 255, as SAM was trained."""


@dataclass(frozen=True)
class VitSize:
    """Width, number of blocks and of heads of an image encoder, and its blocks with global attention."""

    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]


SIZES = {
    "vit_b": VitSize(768, 12, 12, (2, 5, 8, 11)),
    "vit_l": VitSize(1024, 24, 16, (5, 11, 17, 23)),
    "vit_h": VitSize(1280, 32, 16, (7, 15, 23, 31)),
}


class VitSam(SamFamily):
    """A member with a ViT. Its state has the names of the published files.

    ``size`` is ``vit_b``, ``vit_l`` or ``vit_h``; smaller numbers, also for ``side``, the width of the input
    in pixels, serve tests.
    """

    published_side: ClassVar[int]

    def __init__(self, size: str | VitSize = "vit_b", side: int | None = None) -> None:
        side = side or self.published_side
        super().__init__(side, side // PATCH)
        numbers = SIZES[size] if isinstance(size, str) else size
        self.image_encoder = ImageEncoderViT(
            img_size=side,
            patch_size=PATCH,
            embed_dim=numbers.width,
            depth=numbers.depth,
            num_heads=numbers.heads,
            out_chans=CHANNELS,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=14,
            global_attn_indexes=numbers.global_blocks,
        )
        self._cache: PixelCache[Tensor] = PixelCache(CACHE_BYTES, lambda embedding: embedding.nbytes)
        self.requires_grad_(False)
        self.eval()

    @abstractmethod
    def preprocess(self, image: Image) -> Tensor:
        """Map an image (H, W, 3) to the input (3, side, side) float32."""

    @classmethod
    def with_weights(cls, state: dict[str, Tensor], size: str | VitSize = "vit_b") -> Self:
        """Build the model around weights, without drawing random ones first.

        Raises ModelError (BUNDLE-INVALID) where names or shapes differ from the architecture.
        """
        with torch.device("meta"):
            model = cls(size)
        try:
            model.load_state_dict(state, strict=True, assign=True)
        except RuntimeError as error:
            message = f"the weights do not fit {cls.title}: {error}"
            raise ModelError(Code.BUNDLE_INVALID, message) from error
        return model

    @torch.inference_mode()
    def embed(self, image: Image) -> Tensor:
        """Return the (256, side / 16, side / 16) embedding of an image, computed once per image."""
        return self._cache.get(image, self._embed)

    def _embed(self, image: Image) -> Tensor:
        device = self.image_encoder.pos_embed.device
        embedding: Tensor = self.image_encoder(self.preprocess(image).unsqueeze(0).to(device))[0]
        return embedding


def normalise(pixels: Tensor) -> Tensor:
    """Subtract SAM's mean and divide by its standard deviation; ``pixels`` (3, h, w) on 0 to 255."""
    return (pixels - torch.tensor(MEAN).view(-1, 1, 1)) / torch.tensor(STD).view(-1, 1, 1)
