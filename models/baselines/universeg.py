"""UniverSeg (arXiv 2304.06131): one network that reads the task off a labelled support set. Optional.

Neither the package nor the weights come with textseg: the code is Apache-2.0, the weights are OpenRAIL++-M
for research, and both are brought in by hand.
"""

import importlib
import pickle
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.baselines.contract import Context, Labels, found, needed_support
from models.contracts import Image, PromptableSegmenter
from models.errors import Code, ModelError
from models.evaluation.metrics import Mask
from models.labelled import Labelled, draw

SIDE = 128
"""Pixels on each side of what the network sees."""

MOST = 64
"""Support images that the network was trained with at most."""

GET = (
    "UniverSeg needs the package `universeg`, from the repository JJGO/UniverSeg on GitHub, and the "
    "file universeg_v1_nf64_ss64_STA.pt of that repository's release `weights`"
)


class UniverSegBaseline:
    """UniverSeg on a support set; ``weights`` is the path of its weights file."""

    name = "universeg"
    labels: Labels = "support"
    uses_labels = True

    def __init__(self, weights: Path | None) -> None:
        self.weights = weights
        self._network: nn.Module | None = None

    def statement(self, segmenter: PromptableSegmenter) -> str:
        """Say that no prompt and no text was used."""
        del segmenter
        return "UniverSeg read the task off a labelled support set; neither text nor segmenter was used."

    @torch.inference_mode()
    def segment(self, image: Image, context: Context) -> Mask | Code:
        """Return the mask (H, W), or NO-MASK. At most 64 support images, drawn by the context's seed.

        Raises ConfigError (USAGE) without a support set, ModelError (MODEL-MISSING, BUNDLE-INVALID).
        """
        support = draw(needed_support(context, self.name), MOST, context.seed)
        if self._network is None:
            self._network = load(self.weights)
        images = torch.stack([pixels(one.image) for one in support])
        masks = torch.stack([_mask(one) for one in support])
        logits = self._network(pixels(image)[None], images[None], masks[None])
        size = (image.shape[0], image.shape[1])
        probability = F.interpolate(logits.sigmoid(), size=size, mode="bilinear", align_corners=False)
        mask: Mask = (probability[0, 0] > 0.5).numpy()
        return found(mask)


def load(weights: Path | None) -> nn.Module:
    """Return the network with its weights. Raises ModelError (MODEL-MISSING, BUNDLE-INVALID)."""
    try:
        build = importlib.import_module("universeg.model").universeg
    except ImportError as error:
        raise ModelError(Code.MODEL_MISSING, f"{GET}: the package is not installed") from error
    if weights is None or not weights.is_file():
        raise ModelError(Code.MODEL_MISSING, f"{GET}: no such file was given ({weights})")
    network: nn.Module = build(pretrained=False)
    try:
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except (RuntimeError, pickle.UnpicklingError, TypeError, EOFError) as error:
        message = f"{weights}: not the weights of UniverSeg v1 ({type(error).__name__}); {GET}"
        raise ModelError(Code.BUNDLE_INVALID, message) from error
    return network.eval()


def pixels(image: Image) -> Tensor:
    """Return an image (H, W, 3) in grey as (1, 128, 128), stretched, min-max to [0, 1]; constant: zeros."""
    grey = torch.from_numpy(image.astype(np.float32).mean(2))[None, None]
    small = F.interpolate(grey, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)[0]
    low, high = small.min(), small.max()
    return (small - low) / (high - low).clamp_min(1e-8)


def _mask(one: Labelled) -> Tensor:
    mask = torch.from_numpy(one.mask.astype(np.float32))[None, None]
    return F.interpolate(mask, size=(SIDE, SIDE), mode="nearest-exact")[0]
