"""Small pictures of one case: the image and what each stage made of it, with the truth's contour."""

import base64
import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageOps

from models.contracts import Image
from models.evaluation.answer import Answer
from models.evaluation.metrics import Map, Mask

SIDE = 192
"""Longest side of a panel in pixels."""

TRUTH = (0, 230, 118)
MASK = (255, 145, 0)
RAMP = ("#000004", "#b63679", "#fcfdbf")
"""Dark, middle and bright end of the scale of saliency and uncertainty; monotone in luminance."""


@dataclass(frozen=True)
class Panel:
    """One picture as a data URI, with its title and what it shows in words."""

    title: str
    text: str
    uri: str


def panels(image: Image | None, truth: Mask, answer: Answer) -> tuple[Panel, ...]:
    """Return the pictures of one case.

    Parameters
    ----------
    image
        (H, W, 3) uint8; None where it could not be read: only the truth is shown then.
    truth
        (H, W) the true mask, drawn as a green contour on every panel but the first.
    answer
        The answer and its stages, masks drawn as orange contours.
    """
    if image is None:
        blank = np.zeros((*truth.shape, 3), np.uint8)
        return (
            _panel("truth", "the true contour; the image could not be read", _outlined(blank, truth, None)),
        )
    shown = [
        _panel("image", "the image", _small(image)),
        _panel(
            "saliency", "the mean saliency map, bright where the prompt is meant", _heat(answer.soft, truth)
        ),
        _panel("coarse", "contour of the coarse mask", _outlined(image, truth, answer.stages.components)),
    ]
    if answer.member is not None:
        shown.append(_panel("SAM", "contour of one member", _outlined(image, truth, answer.member)))
    shown.append(_panel("vote", "contour of the final mask", _outlined(image, truth, answer.mask)))
    if answer.entropy is not None:
        shown.append(
            _panel("uncertainty", "entropy in bits, bright where unsure", _heat(answer.entropy, truth))
        )
    return tuple(shown)


def _panel(title: str, text: str, pixels: Image) -> Panel:
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, format="JPEG", quality=85, subsampling=0)
    return Panel(title, text, "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii"))


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    height, width = shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _small(image: Image, how: Literal["area", "nearest"] = "area") -> Image:
    method = Pillow.Resampling.BOX if how == "area" else Pillow.Resampling.NEAREST
    return np.asarray(Pillow.fromarray(image).resize(_size(image.shape), method), dtype=np.uint8)


def _heat(soft: Map, truth: Mask) -> Image:
    """Return a map in [0, 1] on the ramp's colours, with the truth's contour."""
    grey = Pillow.fromarray((np.clip(soft, 0.0, 1.0) * 255).astype(np.uint8))
    dark, middle, bright = RAMP
    coloured = ImageOps.colorize(grey, black=dark, mid=middle, white=bright)
    return _outlined(np.asarray(coloured, dtype=np.uint8), truth, None)


def _outlined(image: Image, truth: Mask, mask: Mask | None) -> Image:
    drawn = _small(image).copy()
    if mask is not None:
        drawn[_edge(mask)] = MASK
    drawn[_edge(truth)] = TRUTH
    return drawn


def _edge(mask: Mask) -> npt.NDArray[np.bool_]:
    """Return the pixels of the reduced mask that touch its outside."""
    small = np.asarray(
        Pillow.fromarray(mask.astype(np.uint8)).resize(_size(mask.shape), Pillow.Resampling.NEAREST),
        dtype=bool,
    )
    padded = np.pad(small, 1)
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    edge: npt.NDArray[np.bool_] = small & ~inside
    return edge
