"""The dual encoder of the lite bundle: two frozen towers and a small alignment head between them.

The head reads the tower's feature pyramid on a 32 x 32 grid. Its context part ends in standardised
features: there lies the bottleneck of M2IB. What follows is token by token, so that an image embedding is
the mean of the unit tokens and the same tokens, compared with a text, also say where the text is meant.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.contracts import Image, ImageTokens, Pixels
from models.encoders.minilm import WIDTH as TEXT_WIDTH
from models.encoders.minilm import MiniLm
from models.encoders.tinyvit import PYRAMID_CHANNELS, TinyVitTower, placement_of, preprocess
from models.placement import Placement

HIDDEN = 128
EMBEDDING = 128


class AlignmentHead(nn.Module):
    """Maps pyramid tokens and sentence embeddings into one space of 128 dimensions."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(PYRAMID_CHANNELS))
        self.register_buffer("deviation", torch.ones(PYRAMID_CHANNELS))
        self.context = nn.Sequential(
            nn.Conv2d(PYRAMID_CHANNELS, HIDDEN, 1),
            nn.GroupNorm(8, HIDDEN),
            nn.GELU(),
            nn.Dropout2d(dropout),
            nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1),
            nn.GroupNorm(8, HIDDEN),
            nn.GELU(),
            nn.Dropout2d(dropout),
            nn.Conv2d(HIDDEN, HIDDEN, 3, padding=2, dilation=2),
            nn.GroupNorm(8, HIDDEN, affine=False),
        )
        self.project = nn.Sequential(
            nn.GELU(),
            nn.Dropout2d(dropout),
            nn.Conv2d(HIDDEN, HIDDEN, 1),
            nn.GELU(),
            nn.Conv2d(HIDDEN, EMBEDDING, 1),
        )
        self.words = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(TEXT_WIDTH, 256),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(256, EMBEDDING),
        )
        self.scale = nn.Parameter(torch.tensor(10.0).log())
        self.bias = nn.Parameter(torch.tensor(-4.0))

    def bottleneck(self, pyramid: Tensor) -> Tensor:
        """Map the pyramid (N, 864, rows, columns) to standardised features (N, 128, rows, columns)."""
        standard = (pyramid - self.mean[:, None, None]) / self.deviation[:, None, None]
        values: Tensor = self.context(standard)
        return values

    def unit_tokens(self, features: Tensor) -> Tensor:
        """Map features at the bottleneck to tokens (N, 128, rows, columns) of unit length."""
        return F.normalize(self.project(features), dim=1)

    def text(self, sentences: Tensor) -> Tensor:
        """Map sentence embeddings (N, 384) to unit rows (N, 128)."""
        return F.normalize(self.words(sentences), dim=1)

    def logits(self, tokens: Tensor, text: Tensor) -> Tensor:
        """Similarity of tokens (N, 128, rows, columns) with texts (N, K, 128): (N, K, rows, columns)."""
        return self.scale.exp() * torch.einsum("ndhw,nkd->nkhw", tokens, text) + self.bias


class LiteEncoder:
    """The alignment heads on their towers, as a :class:`models.contracts.DualEncoder`."""

    def __init__(self, tower: TinyVitTower, text_tower: MiniLm, head: AlignmentHead) -> None:
        self.tower = tower
        self.text_tower = text_tower
        self.head = head.requires_grad_(False).eval()

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Return (N, 128) unit rows."""
        return self.head.text(self.text_tower(prompts).clone())

    @property
    def scale(self) -> float:
        """Multiplier of the cosine, learnt by the head."""
        return float(self.head.scale.exp())

    def preprocess(self, image: Image) -> Pixels:
        """Return the image at the tower's size (3, 256, 256), padded at the bottom or the right."""
        return Pixels(preprocess(image), placement_of(*image.shape[:2]))

    @torch.no_grad()
    def encode_pixels(self, pixels: Tensor, placement: Placement) -> Tensor:
        """Map (N, 3, 256, 256) to image embeddings (N, 128) without a look at the cache."""
        pyramid, _ = self.tower(pixels)
        features = self.head.bottleneck(pyramid)
        return self.finish(features[:, :, : placement.rows, : placement.columns])

    def tokens(self, image: Image) -> ImageTokens:
        """Return the standardised features (128, rows, columns) of an image, padding cut off."""
        encoding = self.tower.encode(image)
        place = encoding.placement
        with torch.no_grad():
            features = self.head.bottleneck(encoding.pyramid.float().unsqueeze(0))[0]
        return ImageTokens(features[:, : place.rows, : place.columns].clone(), place)

    def finish(self, tokens: Tensor) -> Tensor:
        """Map features (N, 128, rows, columns) to image embeddings (N, 128): the mean of the unit tokens."""
        return F.normalize(self.head.unit_tokens(tokens).mean((2, 3)), dim=1)

    def similarity(self, tokens: Tensor, text: Tensor) -> Tensor:
        """Logits (N, rows, columns) of features (N, 128, rows, columns) for one text row (128,)."""
        with torch.no_grad():
            rows = text.expand(len(tokens), 1, -1)
            return self.head.logits(self.head.unit_tokens(tokens), rows)[:, 0]
