"""The numbers of SaLIP, all in one place."""

from dataclasses import dataclass, field

from models.salip.crops import Crop
from models.segmenters.everything import EverythingSettings


@dataclass(frozen=True)
class SalipSettings:
    """Effective configuration of one run of SaLIP.

    Attributes
    ----------
    everything
        How SAM segments everything.
    area
        A region stays where its share of the image is at least the first and strictly below the second. The
        paper does not publish its thresholds; the default is the middle one of those that its released
        search tries, 40,000 of 65,536 pixels.
    k
        How many regions the target has.
    crop, pad, background
        What the encoder is shown of a region, the rim of ``expand`` in pixels, and the grey value of what is
        masked out and of the padding.
    duplicate
        Regions are one where their intersection over union is above this; 1 lets every duplicate pass, as
        the paper does.
    margin
        The choice is refused where the worst chosen region scores less than this above the next distinct
        one, in units of the score (cosine times 100); 0 believes every choice.
    similarity
        A region that scores less is not the target. The default keeps all: the cosines of CLIP are not
        calibrated, those of an encoder that is can be held against a number.
    second_pass
        Ask SAM again with the boxes of the chosen regions; without it they are the answer.
    """

    everything: EverythingSettings = field(default_factory=EverythingSettings)
    area: tuple[float, float] = (0.0, 0.61)
    k: int = 1
    crop: Crop = "crop"
    pad: int = 10
    background: int = 0
    duplicate: float = 0.5
    margin: float = 0.1
    similarity: float = -100.0
    second_pass: bool = True

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"a target has at least one region, got k = {self.k}")
        smallest, largest = self.area
        if not 0.0 <= smallest < largest:
            raise ValueError(f"areas are fractions of the image, smaller first, got {self.area}")
