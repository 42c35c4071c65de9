"""Encoders that read one place of the image only, so that it is known where the saliency must be."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from models.contracts import Image, ImageTokens, Pixels
from models.placement import Placement

CHANNELS = 5
TEXT = F.normalize(torch.tensor([1.0, 0.2, 0.0, 0.0, 0.0]), dim=0)


class OnePlace:
    """Sees an image as rows x columns cells and judges it by the brightness of one of them.

    ``order`` permutes its channels; ``padding`` is the number of empty cells at the input's right edge.
    """

    scale = 10.0

    def __init__(
        self, where: tuple[int, int], grid: tuple[int, int] = (6, 6), order: Sequence[int] = range(CHANNELS)
    ) -> None:
        self.where, self.grid, self.order = where, grid, list(order)
        self.back = torch.tensor(self.order).argsort()

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        return TEXT.expand(len(prompts), -1)

    def preprocess(self, image: Image) -> Pixels:
        grey = torch.from_numpy(image.astype("float32") / 255.0).permute(2, 0, 1)
        return Pixels(F.adaptive_avg_pool2d(grey, self.grid), Placement.whole(*image.shape[:2], *self.grid))

    def encode_pixels(self, pixels: Tensor, placement: Placement) -> Tensor:
        return self.finish(torch.stack([self.features(one) for one in pixels]))

    def features(self, pixels: Tensor) -> Tensor:
        """Brightness, its square, darkness, a ramp and a constant."""
        light = pixels[0]
        ramp = torch.linspace(0.0, 1.0, light.numel()).reshape(light.shape)
        values = torch.stack([light, light**2, 1.0 - light, ramp, torch.full_like(light, 0.5)])
        return values[self.order]

    def tokens(self, image: Image) -> ImageTokens:
        pixels = self.preprocess(image)
        return ImageTokens(self.features(pixels.values), pixels.placement)

    def finish(self, tokens: Tensor) -> Tensor:
        row, column = self.where
        seen = tokens[:, self.back, row, column]
        return F.normalize(seen + torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0]), dim=1)


class Blind(OnePlace):
    """Gives every image the same embedding."""

    def finish(self, tokens: Tensor) -> Tensor:
        return TEXT + 0.0 * tokens.flatten(2).sum(2)
