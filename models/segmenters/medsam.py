"""MedSAM: SAM ViT-B fine-tuned on medical images with box prompts, and with preprocessing of its own.

Its weights have SAM's names and shapes. In SAM's place they would get SAM's normalisation and padding, which
they never saw, so they are a class of their own.
"""

from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from skimage.transform import resize
from torch import Tensor

from models.contracts import Image
from models.segmenters.family import Frame
from models.segmenters.vit import VitSam


class MedSam(VitSam):
    """MedSAM: both sides stretched to 1024 (cubic), min-max to [0, 1], no mean or deviation; boxes only."""

    title = "MedSAM"
    understands: ClassVar = frozenset({"boxes"})
    published_side: ClassVar = 1024

    def preprocess(self, image: Image) -> Tensor:
        """Map an image (H, W, 3) to (3, side, side) in [0, 1]; a constant image becomes zeros."""
        stretched = resize(image, (self.side, self.side), order=3, preserve_range=True, anti_aliasing=True)
        levels = stretched.astype(np.uint8).astype(np.float64)
        low, high = levels.min(), levels.max()
        return torch.from_numpy((levels - low) / max(high - low, 1e-8)).float().permute(2, 0, 1)

    def frame(self, size: tuple[int, int]) -> Frame:
        """Return the stretched frame."""
        return Frame.stretched(size, self.side)

    def _probability(self, logits: Tensor, frame: Frame) -> Tensor:
        """Upsample probabilities, not logits, in one step, as MedSAM's inference does."""
        return F.interpolate(logits.sigmoid(), frame.size, mode="bilinear", align_corners=False)
