"""Segmenters whose answers are known, and a context for baselines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.baselines.contract import Context
from models.contracts import Candidates, Image, VisualPrompt
from models.errors import Code
from tests.models.toy import BoxSegmenter, ToyEncoder

GRID = 16


@dataclass
class Sam:
    """Understands everything and keeps what it was asked.

    A box gives the filled box; points give a square of ``reach`` pixels around each; nothing gives the left
    half. The embedding is the brightness of each of 16 x 16 cells, and a constant.
    """

    reach: int = 6
    asked: list[VisualPrompt] = field(default_factory=list)
    embedded: list[tuple[int, ...]] = field(default_factory=list)
    understands: frozenset[str] = frozenset({"boxes", "points", "nothing"})

    def embed(self, image: Image) -> Tensor:
        self.embedded.append(image.shape)
        grey = torch.from_numpy(image.astype(np.float32)).mean(2) / 255.0
        cells = torch.nn.functional.adaptive_avg_pool2d(grey[None], GRID)
        return torch.cat([cells, torch.ones_like(cells)])

    def decode(
        self,
        embedding: Tensor,
        size: tuple[int, int],
        prompts: Sequence[VisualPrompt],
        multimask: bool = False,
    ) -> Candidates:
        assert not multimask
        masks = np.zeros((len(prompts), 1, *size), np.float32)
        for mask, prompt in zip(masks[:, 0], prompts, strict=True):
            self.asked.append(prompt)
            if prompt.box is not None:
                x0, y0, x1, y1 = (round(side) for side in prompt.box)
                mask[y0:y1, x0:x1] = 0.9
            for point in prompt.points:
                x, y = int(point.x), int(point.y)
                mask[
                    max(0, y - self.reach) : y + self.reach + 1, max(0, x - self.reach) : x + self.reach + 1
                ] = 0.9
            if prompt == VisualPrompt():
                mask[:, : size[1] // 2] = 0.9
        return Candidates(masks, np.ones((len(prompts), 1), np.float32))


def no_saliency() -> Code:
    raise AssertionError("this baseline has no business with the saliency map")


def context(segmenter: Any = None, saliency: Callable[[], Any] = no_saliency, **given: Any) -> Context:
    text = given.pop("text", torch.zeros(6))
    return Context(segmenter or BoxSegmenter(), ToyEncoder(), text, saliency, **given)
