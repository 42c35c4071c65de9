"""SAM (Segment Anything) ViT-B, ViT-L and ViT-H on segment-anything's own modules."""

from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image as Picture
from torch import Tensor

from models.contracts import Image
from models.segmenters.family import Frame
from models.segmenters.vit import VitSam, normalise


class Sam(VitSam):
    """SAM: longest side to 1024 (PIL bilinear), SAM's mean and deviation, padded at the bottom and right."""

    title = "SAM"
    understands: ClassVar = frozenset({"boxes", "points", "nothing"})
    published_side: ClassVar = 1024

    def preprocess(self, image: Image) -> Tensor:
        """Map an image (H, W, 3) to (3, side, side)."""
        frame = self.frame((image.shape[0], image.shape[1]))
        scaled = Picture.fromarray(image).resize((frame.columns, frame.rows), Picture.Resampling.BILINEAR)
        pixels = normalise(torch.from_numpy(np.array(scaled)).permute(2, 0, 1))
        return F.pad(pixels, (0, self.side - frame.columns, 0, self.side - frame.rows))

    def frame(self, size: tuple[int, int]) -> Frame:
        """Return SAM's frame: longest side to ``side``."""
        return Frame.longest_side(size, self.side)
