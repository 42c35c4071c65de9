"""A second opinion on outlines: the dense CRF of how likely each place is meant, beside SAM's answer.

SAM is trained on objects that stand out as wholes. Where the target is a texture between strong edges (the
lungs of a CT slice in a soft-tissue window) its mask leaves the component behind; a CRF that only follows
grey values from where the text is meant does not.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture
from PIL.Image import Resampling
from scipy import ndimage
from scipy.special import expit

from models.contracts import Image
from models.masks.components import EIGHT, Component
from models.masks.crf import CrfSettings, mean_field

SIDE = 256
"""The longest side at which the CRF looks: no encoder of ours sees more, and it costs a quarter of 512."""


def outline(
    image: Image, probability: npt.NDArray[np.float32], settings: CrfSettings
) -> npt.NDArray[np.float32]:
    """Return the probability (H, W) float32 of the target after mean field on the image's grey values.

    ``image`` is (H, W, 3) uint8, ``probability`` (H, W) in [0, 1] on the same pixels.
    """
    height, width = probability.shape
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    seen = np.asarray(Picture.fromarray(image).resize(size, Resampling.BOX))
    likely = _resized(probability, size)
    after = expit(mean_field(seen, likely, settings)).astype(np.float32)
    return _resized(after, (width, height))


def _resized(values: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Resample (H, W) bilinearly to (width, height) = ``size``."""
    return np.asarray(Picture.fromarray(values).resize(size, Resampling.BILINEAR), np.float32)


def parts(
    outlined: npt.NDArray[np.float32], found: Sequence[Component], threshold: float
) -> list[npt.NDArray[np.float32]]:
    """Return for each component the probability (H, W) of those regions of an outline that touch it.

    A region is a connected part of the outline above ``threshold``; it belongs to every component that it
    touches, everything else of the outline to none.
    """
    labelled, _ = ndimage.label(outlined > threshold, structure=EIGHT)
    answers = []
    for component in found:
        touched = np.unique(labelled[component.mask])
        own = np.isin(labelled, touched[touched > 0])
        answers.append(np.where(own, outlined, np.float32(0.0)))
    return answers
