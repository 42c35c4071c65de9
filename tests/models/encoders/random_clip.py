"""Encoders of the true architectures with random weights, as large as a test needs them."""

from collections.abc import Sequence

import torch
from torch import nn

from models.encoders.bert import BertTower, TextArchitecture
from models.encoders.biomedclip import BiomedClip
from models.encoders.framing import Framing
from models.encoders.text import TextBatch, padded
from models.encoders.vit import VisionArchitecture, VisionTransformer

SCALE = 85.2


class LetterTokenizer:
    """A start mark, one token per character, an end mark."""

    def __call__(self, prompts: Sequence[str]) -> TextBatch:
        return padded([[1, *(3 + ord(letter) % 60 for letter in prompt), 2] for prompt in prompts], 256)


def randomised(module: nn.Module, seed: int) -> None:
    """Fill a module's parameters with the spread that trained ones have, without touching global state."""
    generator = torch.Generator().manual_seed(seed)
    for name, values in module.named_parameters():
        if "norm" in name.lower() or ".ln_" in name:
            torch.nn.init.normal_(values, float(name.endswith("weight")), 0.1, generator)
        else:
            torch.nn.init.normal_(
                values, 0.0, (values[0].numel() if values.ndim > 1 else values.numel()) ** -0.5, generator
            )


def random_biomedclip(
    seed: int = 0,
    depth: int = 12,
    width: int = 768,
    side: int = 224,
    layer: int = 9,
    framing: Framing = "fit",
) -> BiomedClip:
    """BiomedCLIP with towers of ``depth`` blocks; heads of 64 channels, or two where it is narrow."""
    heads = max(2, width // 64)
    vision = VisionArchitecture(width=width, depth=depth, heads=heads, side=side)
    text = TextArchitecture(width=width, depth=depth, heads=heads, hidden=640 * width // 768)
    towers = VisionTransformer(vision), BertTower(text)
    for number, tower in enumerate(towers):
        randomised(tower, 2 * seed + number)
    return BiomedClip(*towers, LetterTokenizer(), SCALE, layer, framing)


def small_biomedclip(seed: int = 0, depth: int = 4, layer: int = 1, framing: Framing = "fit") -> BiomedClip:
    """4 blocks of 32 channels on 64 x 64 pixels: 16 patches."""
    return random_biomedclip(seed, depth, width=32, side=64, layer=layer, framing=framing)
