"""A dual encoder and a segmenter small enough to reason about, for tests of the method on arrays."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.contracts import Candidates, Image, ImageTokens, Pixels, VisualPrompt
from models.errors import Code, ModelError
from models.placement import Placement

CHANNELS = 6
GRID = 8


class ToyEncoder:
    """Reads how bright a place is. The prompt 'bright' means that, any other prompt nothing."""

    scale = 10.0

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """First axis for 'bright', second for everything else."""
        rows = [[1.0, 0.0] if prompt == "bright" else [0.0, 1.0] for prompt in prompts]
        return torch.tensor([row + [0.0] * (CHANNELS - 2) for row in rows])

    def preprocess(self, image: Image) -> Pixels:
        """Mean brightness in [0, 1] of each of 8 x 8 cells, three times."""
        grey = torch.from_numpy(image.astype(np.float32) / 255.0).permute(2, 0, 1)
        return Pixels(F.adaptive_avg_pool2d(grey, GRID), Placement.whole(*image.shape[:2], GRID, GRID))

    def encode_pixels(self, pixels: Tensor, placement: Placement) -> Tensor:
        """The whole tower."""
        return self.finish(torch.stack([self._features(one) for one in pixels]))

    def tokens(self, image: Image) -> ImageTokens:
        """Put the mean brightness of each of 8 x 8 cells into the first channel, standardised."""
        pixels = self.preprocess(image)
        return ImageTokens(self._features(pixels.values), pixels.placement)

    def _features(self, pixels: Tensor) -> Tensor:
        values = torch.zeros(CHANNELS, GRID, GRID)
        values[0] = 4.0 * pixels[0] - 1.0
        values[2] = 1.0
        return values

    def finish(self, tokens: Tensor) -> Tensor:
        """Mean of unit tokens, of unit length."""
        return F.normalize(F.normalize(tokens, dim=1).mean((2, 3)), dim=1)

    def similarity(self, tokens: Tensor, text: Tensor) -> Tensor:
        """Ten times the cosine, minus five."""
        return 10.0 * torch.einsum("nchw,c->nhw", F.normalize(tokens, dim=1), text) - 5.0


class BoxSegmenter:
    """Answers every box with the filled box."""

    understands = frozenset({"boxes"})

    def embed(self, image: Image) -> Tensor:
        """Nothing to embed."""
        return torch.zeros(1, 1, 1)

    def decode(
        self,
        embedding: Tensor,
        size: tuple[int, int],
        prompts: Sequence[VisualPrompt],
        multimask: bool = False,
    ) -> Candidates:
        """Fill each box with probability 0.9."""
        each = 3 if multimask else 1
        masks = np.zeros((len(prompts), each, *size), np.float32)
        for mask, prompt in zip(masks, prompts, strict=True):
            if prompt.box is None or prompt.points:
                raise ModelError(Code.PROMPT_KIND_UNSUPPORTED, "the toy knows boxes, no points")
            x0, y0, x1, y1 = prompt.box
            mask[:, round(y0) : round(y1), round(x0) : round(x1)] = 0.9
        return Candidates(masks, np.ones((len(prompts), each), np.float32))


def picture(height: int, width: int, boxes: Sequence[tuple[int, int, int, int]]) -> Image:
    """A dark image (height, width, 3) with bright rectangles (x0, y0, x1, y1)."""
    image = np.full((height, width, 3), 20, np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[y0:y1, x0:x1] = 230
    return image
