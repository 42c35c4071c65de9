"""How an image of any shape becomes the square that a vision transformer sees, and where its patches lie."""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image as Picture

from models.contracts import Image, Pixels
from models.placement import Placement

Framing = Literal["fit", "crop"]
"""``crop``: the short side fills the square and the ends of the long side are lost, as in the papers.
``fit``: the long side fills the square and the rest is the mean colour; nothing is lost."""

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""Of the RGB values in [0, 1] of the images that OpenAI's CLIP was trained on; BiomedCLIP uses the same."""


def scaled_size(height: int, width: int, framing: Framing, side: int) -> tuple[int, int]:
    """Return (height, width) once the short (``crop``) or the long side (``fit``) is ``side`` pixels."""
    if framing == "fit":
        long = max(height, width)
        return max(1, round(height * side / long)), max(1, round(width * side / long))
    short = min(height, width)
    return int(side * height / short), int(side * width / short)


def frame(image: Image, framing: Framing, side: int, grid: int) -> Pixels:
    """Return an image (H, W, 3) as (3, side, side), normalised, and where its grid x grid patches lie.

    Bicubic, in the centre of the square. With ``crop`` these are the pixels of open_clip's own transform,
    which the released code then stretches over the whole image; the placement says what the crop covers.
    """
    height, width = image.shape[:2]
    rows, columns = scaled_size(height, width, framing, side)
    # Of the scaled image's first pixel, in the square: negative where the crop begins further inside.
    top, left = -round((rows - side) / 2), -round((columns - side) / 2)
    scaled = np.asarray(Picture.fromarray(image).resize((columns, rows), Picture.Resampling.BICUBIC))
    seen = scaled[max(0, -top) :, max(0, -left) :][:side, :side].transpose(2, 0, 1)
    values = torch.from_numpy(np.ascontiguousarray(seen)).float() / 255.0
    normal = (values - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
    before, above = max(0, left), max(0, top)
    beside = (before, side - before - seen.shape[2], above, side - above - seen.shape[1])
    pixels = F.pad(normal, beside)  # zero is the mean colour
    x, y = width / columns, height / rows
    covers = (-left * x, -top * y, (side - left) * x, (side - top) * y)
    return Pixels(pixels, Placement(height, width, grid, grid, covers))
