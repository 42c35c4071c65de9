"""CLIP with a vision transformer, cut after one of its blocks."""

import copy
import hashlib
import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.contracts import Image, ImageTokens, Pixels
from models.encoders.checkpoint import Names
from models.encoders.framing import Framing, frame
from models.encoders.text import PromptTokenizer
from models.encoders.vit import VisionTransformer
from models.placement import Placement

CACHE_BYTES = 256 * 2**20
"""Of image tokens: about 400 images of a ViT-B/16."""

CACHE_PROMPTS = 4096


class ClipEncoder:
    """Two frozen towers, as a :class:`models.contracts.LayeredEncoder`.

    Parameters
    ----------
    vision, text
        The towers; the text tower maps token numbers and their mask to embeddings.
    tokenizer
        Of the text tower.
    scale
        Multiplier of the cosine, ``exp(logit_scale)``.
    layer
        The bottleneck lies after this block, counted from 0. MedCLIP-SAMv2 uses 9 of 12.
    framing
        How an image that is not square becomes square.
    """

    def __init__(
        self,
        vision: VisionTransformer,
        text: nn.Module,
        tokenizer: PromptTokenizer,
        scale: float,
        layer: int = 9,
        framing: Framing = "fit",
    ) -> None:
        self.vision = vision.requires_grad_(False).eval()
        self.text = text.requires_grad_(False).eval()
        self.tokenizer = tokenizer
        self.framing = framing
        self._scale = scale
        self.layer = self._checked(layer)
        self._tokens: OrderedDict[tuple[Framing, int, bytes], ImageTokens] = OrderedDict()
        self._texts: OrderedDict[str, Tensor] = OrderedDict()

    @property
    def scale(self) -> float:
        """Multiplier of the cosine between image and text."""
        return self._scale

    @property
    def depth(self) -> int:
        """Number of blocks of the image tower."""
        return len(self.vision.blocks)

    @property
    def device(self) -> torch.device:
        """Where the towers are."""
        return self.vision.class_token.device

    def cut(self, layer: int) -> Self:
        """Return this encoder, weights and caches shared, cut after block ``layer``. Raises ValueError."""
        other = copy.copy(self)
        other.layer = self._checked(layer)
        return other

    def framed(self, framing: Framing) -> Self:
        """Return this encoder, weights and caches shared, that frames images another way."""
        other = copy.copy(self)
        other.framing = framing
        return other

    def _checked(self, layer: int) -> int:
        if not 0 <= layer < self.depth:
            raise ValueError(f"the image tower has blocks 0 to {self.depth - 1}, not {layer}")
        return layer

    def to(self, device: torch.device | str) -> Self:
        """Move the towers; what is cached is forgotten."""
        self.vision.to(device)
        self.text.to(device)
        self._tokens.clear()
        self._texts.clear()
        return self

    @torch.no_grad()
    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Return (N, D) unit rows. Raises PromptError (PROMPT-TOO-LONG).

        Each prompt passes the tower alone and once, so that not even the last bit of its embedding depends on
        the prompts beside or before it.
        """
        rows = [self._text(prompt) for prompt in prompts]
        width = self.vision.architecture.embedding
        return torch.stack(rows) if rows else torch.zeros(0, width, device=self.device)

    def _text(self, prompt: str) -> Tensor:
        if prompt not in self._texts:
            batch = self.tokenizer([prompt])
            row = self.text(batch.ids.to(self.device), batch.mask.to(self.device))[0]
            self._texts[prompt] = F.normalize(row, dim=0)
            if len(self._texts) > CACHE_PROMPTS:
                self._texts.popitem(last=False)
        return self._texts[prompt]

    def preprocess(self, image: Image) -> Pixels:
        """Return the image as the square that the image tower sees."""
        arch = self.vision.architecture
        return frame(image, self.framing, arch.side, arch.grid)

    @torch.no_grad()
    def encode_pixels(self, pixels: Tensor, placement: Placement) -> Tensor:
        """Map (N, 3, side, side) to image embeddings (N, D) of unit length."""
        del placement  # the class token has seen all of the square, whatever it covers
        return F.normalize(self.vision(pixels.to(self.device)), dim=1)

    @torch.no_grad()
    def tokens(self, image: Image) -> ImageTokens:
        """Return the output of the block at the bottleneck: (C, 1 + rows * columns), class token first."""
        digest = hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).digest()
        key = (self.framing, self.layer, digest)
        found = self._tokens.get(key)
        if found is not None:
            self._tokens.move_to_end(key)
            return found
        pixels = self.preprocess(image)
        values = self.vision.prefix(pixels.values[None].to(self.device), self.layer)[0]
        tokens = ImageTokens(values.T.contiguous(), pixels.placement)
        self._tokens[key] = tokens
        while len(self._tokens) > 1 and len(self._tokens) * tokens.values.nbytes > CACHE_BYTES:
            self._tokens.popitem(last=False)
        return tokens

    def finish(self, tokens: Tensor) -> Tensor:
        """Map (N, C, 1 + rows * columns) at the bottleneck to image embeddings (N, D) of unit length."""
        return F.normalize(self.vision.finish(tokens.transpose(1, 2), self.layer), dim=1)

    def state(self, names: Names) -> dict[str, Tensor]:
        """Return all weights under another program's names."""
        parts = {"vision": self.vision, "text": self.text}
        own = {f"{key}.{name}": t for key, part in parts.items() for name, t in part.state_dict().items()}
        own["logit_scale"] = torch.tensor(math.log(self._scale))
        return names.theirs(own)
