"""gScoreCAM: of the channels with the largest gradients, each is judged by what it leaves of the image.

Each of the ``top`` channels, stretched over the encoder's input, masks it; the score of the text for the
masked input is the channel's weight (gScoreCAM, Chen et al.; the saliency of MedCLIP-SAM). That is one pass
of the whole image tower per channel: hundreds per image and text, minutes on a CPU.

The activations are those before the last block (see :mod:`models.saliency.gradcam`). At the layer of the
released code every gradient is zero, so that the channels it keeps are arbitrary ones.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from models.contracts import DualEncoder, Image, Pixels
from models.errors import Code, ModelError
from models.saliency.gradcam import before_last_block, patch_gradients, weighted_map


@dataclass(frozen=True)
class GScoreCamSettings:
    """``top`` channels are scored, ``batch`` masked inputs at a time, which changes no score."""

    top: int = 300
    batch: int = 32

    def __post_init__(self) -> None:
        if min(self.top, self.batch) < 1:
            raise ValueError("gScoreCAM needs at least one channel and one input per batch")


def gscorecam(
    encoder: DualEncoder,
    image: Image,
    text: Tensor,
    settings: GScoreCamSettings,
    progress: Callable[[int, int], None] | None = None,
    resume: Path | None = None,
) -> Tensor:
    """Return a map (rows, columns) float32 in [0, 1] on the token grid: ReLU(sum_k w_k A_k), min to max.

    Parameters
    ----------
    encoder
        Any; one with blocks is cut before the last of them.
    image
        (H, W, 3) uint8.
    text
        (D,) of unit length.
    progress
        Called with (channels scored, channels in all) after each batch.
    resume
        A file that keeps the scores of finished channels, replaced as a whole after each batch, so that an
        interrupted run goes on where it stopped. It holds for one image, text and choice of channels (their
        hash is inside); scores of anything else are not used and are replaced.

    Raises
    ------
    ModelError
        GRADIENT-ZERO where no patch has any influence on the score; RUN-MISMATCH where ``resume`` exists and
        holds no scores.
    """
    cut = before_last_block(encoder)
    tokens = cut.tokens(image)
    channels = leading(patch_gradients(cut, tokens, text).mean((1, 2)), settings.top)
    activations = tokens.grid(tokens.values)
    pixels = encoder.preprocess(image)
    key = _key(image, text, channels)
    scores = _read(resume, key) if resume else {}
    missing = [channel for channel in channels if channel not in scores]
    for start in range(0, len(missing), settings.batch):
        batch = missing[start : start + settings.batch]
        inputs = pixels.values * channel_masks(activations[batch], pixels)
        with torch.no_grad():
            cosine = encoder.encode_pixels(inputs, pixels.placement) @ text
        scores.update(zip(batch, (encoder.scale * cosine).nan_to_num(0.0).tolist(), strict=True))
        if resume:
            _write(resume, key, scores)
        if progress:
            progress(len(scores), len(channels))
    return weighted_map(activations, channel_weights(scores, len(activations)).to(activations))


def leading(importance: Tensor, top: int) -> list[int]:
    """Return the indices of the ``top`` largest of (C,), largest first, ties by index."""
    order: list[int] = importance.sort(descending=True, stable=True).indices[:top].tolist()
    return order


def channel_masks(activations: Tensor, pixels: Pixels) -> Tensor:
    """Stretch activations (K, rows, columns) over an encoder's input: (K, 1, h, w), each from 0 to 1.

    Bilinear between the centres of the corner patches, as published. Multiplied with a normalised input, zero
    means the mean colour. Tokens are square and begin at the input's upper left corner; what lies beyond
    them is padding, and zero.
    """
    height, width = pixels.values.shape[-2:]
    rows, columns = activations.shape[-2:]
    side = min(height / rows, width / columns)
    size = (min(height, round(rows * side)), min(width, round(columns * side)))
    masks = F.interpolate(activations.unsqueeze(1), size=size, mode="bilinear", align_corners=True)
    low = masks.amin((2, 3), keepdim=True)
    high = masks.amax((2, 3), keepdim=True)
    masks = (masks - low) / (high - low + 1e-6)
    return F.pad(masks, (0, width - size[1], 0, height - size[0]))


def channel_weights(scores: dict[int, float], channels: int) -> Tensor:
    """Return the softmax (channels,) over all channels' scores; one that was not scored counts as 0."""
    every = torch.zeros(channels, dtype=torch.float64)
    every[list(scores)] = torch.tensor(list(scores.values()), dtype=torch.float64)
    return every.softmax(0)


def _key(image: Image, text: Tensor, channels: list[int]) -> str:
    """Hash what the scores depend on; the encoder shows in the text's numbers and the channels' order."""
    digest = hashlib.sha256(repr((image.shape, channels)).encode())
    digest.update(image.tobytes())
    digest.update(text.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path, key: str) -> dict[int, float]:
    """Return the scores that a file keeps for this key, or none."""
    if not path.exists():
        return {}
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        scores = {int(channel): float(score) for channel, score in kept["scores"].items()}
        known = str(kept["key"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        message = f"{path} is no file of channel scores; remove it or name another"
        raise ModelError(Code.RUN_MISMATCH, message) from error
    return scores if known == key else {}


def _write(path: Path, key: str, scores: dict[int, float]) -> None:
    """Replace the file as a whole: whoever is killed in between leaves the one before."""
    fresh = path.with_name(path.name + ".part")
    fresh.write_text(json.dumps({"key": key, "scores": scores}), encoding="utf-8")
    fresh.replace(path)
