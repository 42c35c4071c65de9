"""What a Parametric Map can show: values, their coded concept, their unit and what viewers call them."""

from dataclasses import dataclass

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from models.uncertainty import ENTROPY_FLOOR_BITS
from operators.task import PRIVATE_SCHEME, MapName


@dataclass(frozen=True)
class Quantity:
    """A quantity with values in [0, 1] and no unit of UCUM's but (1, no units).

    ``concept`` names it in the Real World Value Mapping (PS3.16 CID 7180 where it has a code), ``label`` is
    its LUTLabel and ContentLabel (CS, at most 16 characters), ``explanation`` its LUTExplanation (LO), which
    says what 0 and 1 mean. Values below ``floor`` are written as 0, so that maps can be cropped.
    """

    concept: Code
    label: str
    explanation: str
    floor: float

    def __post_init__(self) -> None:
        """Refuse what the standard has no room for."""
        if len(self.label) > 16 or len(self.explanation) > 64:
            raise ValueError(f"{self.label}: at most 16 characters of label and 64 of explanation")


ENTROPY = Quantity(
    Code("ENTROPY", PRIVATE_SCHEME, "Entropy of the mean probability (bits)"),
    "ENTROPY",
    "Entropy in bits, 0 certain to 1 undecided",
    ENTROPY_FLOOR_BITS,
)
"""No DCM code for entropy exists; the unit is in the meaning because UCUM has (1, no units) only."""

MUTUAL_INFORMATION = Quantity(
    Code("MUTUAL-INFO", PRIVATE_SCHEME, "Mutual information of members and outcome (bits)"),
    "MUTUAL_INFO",
    "Disagreement of members in bits, 0 none to 1 complete",
    ENTROPY_FLOOR_BITS,
)
"""The part of the entropy that more or better members could remove. No DCM code exists either."""

PROBABILITY = Quantity(
    codes.DCM.FractionalProbabilisticSegmentation,
    "PROBABILITY",
    "Mean probability over members of being inside, 0 to 1",
    0.005,
)
"""(110854, DCM, Fractional Probabilistic Segmentation); its floor is where the entropy's is."""

SALIENCY = Quantity(
    codes.DCM.Saliency,
    "SALIENCY",
    "Where the text is meant, 0 nowhere to 1 here",
    0.05,
)
"""(130404, DCM, Saliency)."""

QUANTITIES: dict[MapName, Quantity] = {
    "entropy": ENTROPY,
    "mutual-information": MUTUAL_INFORMATION,
    "probability": PROBABILITY,
    "saliency": SALIENCY,
}
"""By the names that tasks call them."""
