"""The coarse mask: a saliency map binarised, split into components, and those that are kept."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.contracts import Image
from models.masks.binarise import checked, fixed, otsu, two_means
from models.masks.components import Component, components, confident, largest, select
from models.masks.crf import CrfSettings, dense_crf

Map = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MaskSettings:
    """How a map becomes components.

    Attributes
    ----------
    binarise
        ``otsu``, ``two-means``, ``fixed`` (above ``threshold``) or ``crf`` (with the numbers of ``crf``).
    keep
        ``share``: with at least ``confidence`` times the best confidence and ``area`` times the largest area,
        at most ``components``. ``confidence``: all with a confidence above ``eta``, the paper's rule.
        ``area``: the ``components`` largest, the rule of the papers' released code.
    """

    binarise: str = "otsu"
    threshold: float = 0.3
    crf: CrfSettings = field(default_factory=CrfSettings)
    keep: str = "share"
    confidence: float = 0.5
    area: float = 0.3
    eta: float = 0.5
    components: int = 2

    def __post_init__(self) -> None:
        for value, known in ((self.binarise, BINARISE), (self.keep, KEEP)):
            if value not in known:
                raise ValueError(f"{value!r} is none of {', '.join(known)}")


BINARISE: dict[str, Callable[[Map, Image, MaskSettings], Mask]] = {
    "otsu": lambda saliency, _image, _settings: otsu(saliency),
    "two-means": lambda saliency, _image, _settings: two_means(saliency),
    "fixed": lambda saliency, _image, settings: fixed(saliency, settings.threshold),
    "crf": lambda saliency, image, settings: dense_crf(image, saliency, settings.crf),
}

KEEP: dict[str, Callable[[tuple[Component, ...], MaskSettings], tuple[Component, ...]]] = {
    "share": lambda found, settings: select(found, settings.confidence, settings.area, settings.components),
    "confidence": lambda found, settings: confident(found, settings.eta),
    "area": lambda found, settings: largest(found, settings.components),
}


def coarse_mask(saliency: Map, image: Image, settings: MaskSettings) -> tuple[Component, ...]:
    """Return the components that are kept, largest first.

    A map that is constant, or that becomes all foreground or all background, points nowhere: no component.

    Parameters
    ----------
    saliency
        (H, W) float32 in [0, 1] on the image's pixels.
    image
        (H, W, 3) uint8; only the CRF looks at it.

    Raises
    ------
    ValueError
        For a map that is not finite, or with the CRF an image of another size.
    """
    if checked(saliency).min() == saliency.max():
        return ()
    mask = BINARISE[settings.binarise](saliency, image, settings)
    if mask.all() or not mask.any():
        return ()
    return KEEP[settings.keep](components(mask, saliency), settings)
