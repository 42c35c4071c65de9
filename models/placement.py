"""Where an encoder's token grid lies on an image, and the way back from tokens to pixels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels of the original image, x to the right, y down, half open."""


@dataclass(frozen=True)
class Placement:
    """A grid of ``rows`` x ``columns`` tokens spans the rectangle ``covers`` of an image (height, width).

    ``covers`` is in pixels of the original image. It is the whole image where the encoder saw all of it, a
    part after a centre crop, and reaches beyond the image where the encoder padded it.
    """

    height: int
    width: int
    rows: int
    columns: int
    covers: Box

    @classmethod
    def whole(cls, height: int, width: int, rows: int, columns: int) -> "Placement":
        """Return the placement of a grid that spans exactly the image."""
        return cls(height, width, rows, columns, (0.0, 0.0, float(width), float(height)))

    def without_padding(self, maps: Tensor) -> Tensor:
        """Give tokens whose centre lies off the image the lowest value of those on it.

        Maps are (N, rows, columns). Padding has no saliency: a peak there would dim all of the image.
        """
        x0, y0, x1, y1 = self.covers
        x = x0 + (torch.arange(self.columns) + 0.5) / self.columns * (x1 - x0)
        y = y0 + (torch.arange(self.rows) + 0.5) / self.rows * (y1 - y0)
        seen = ((y > 0) & (y < self.height))[:, None] & ((x > 0) & (x < self.width))[None, :]
        seen = seen.to(maps.device)
        lowest = maps.masked_fill(~seen, torch.inf).amin((1, 2), keepdim=True)
        return torch.where(seen, maps, lowest)

    def on_pixels(self, grid: Tensor) -> npt.NDArray[np.float32]:
        """Resample maps (N, rows, columns) bilinearly at the image's pixel centres: (N, height, width).

        What the encoder never saw, outside ``covers``, is 0.
        """
        x0, y0, x1, y1 = self.covers
        # Normalised coordinates of pixel centres: -1 and 1 are the outer edges of the grid.
        x = (torch.arange(self.width) + 0.5 - x0) / (x1 - x0) * 2.0 - 1.0
        y = (torch.arange(self.height) + 0.5 - y0) / (y1 - y0) * 2.0 - 1.0
        where = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).expand(len(grid), -1, -1, -1)
        pixels = F.grid_sample(
            grid.float().cpu().unsqueeze(1), where, "bilinear", "border", align_corners=False
        )
        seen = (x.abs() <= 1.0)[None, :] & (y.abs() <= 1.0)[:, None]
        return np.asarray((pixels[:, 0] * seen).numpy())
