"""How well each region's crop agrees with the text."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from models.contracts import DualEncoder, Image

CROPS_PER_PASS = 32

SCALE = 100.0
"""SaLIP multiplies the cosine by 100, the scale at which OpenAI's CLIP was trained to compare."""


def similarity(crops: Tensor, text: Tensor) -> npt.NDArray[np.float32]:
    """Return the cosine of crop embeddings (N, D) with a text (D,), times 100: (N,) float32."""
    cosine = F.normalize(crops.float(), dim=1) @ F.normalize(text.float(), dim=0)
    scores: npt.NDArray[np.float32] = (SCALE * cosine).cpu().numpy()
    return scores


@torch.no_grad()
def embed_crops(encoder: DualEncoder, crops: Sequence[Image]) -> Tensor:
    """Return the embeddings (N, D) of square crops, some at a time. N >= 1."""
    return torch.cat([_embed(encoder, part) for part in _parts(crops)])


def _embed(encoder: DualEncoder, crops: Sequence[Image]) -> Tensor:
    pixels = [encoder.preprocess(crop) for crop in crops]
    # The crops are square, so an encoder lays its grid over each in the same way, whatever their sizes.
    return encoder.encode_pixels(torch.stack([one.values for one in pixels]), pixels[0].placement)


def _parts(crops: Sequence[Image]) -> Iterator[Sequence[Image]]:
    return (crops[start : start + CROPS_PER_PASS] for start in range(0, len(crops), CROPS_PER_PASS))
