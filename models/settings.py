"""The numbers of the method, all in one place, so that every result can say which produced it."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from models.saliency.m2ib import M2ibSettings


@dataclass(frozen=True)
class Settings:
    """Effective configuration of one run of the method.

    Attributes
    ----------
    members
        Full paths from noise seed to mask; at least 4.
    relevance
        The prompt is absent unless the best tokens are this probable (mean over ``relevance_tokens`` of all).
    confidence, area, components
        A component stays with this share of the best confidence and of the largest area; at most so many
        stay.
    margins, jitter
        Each side of a box is pushed out by one of ``margins`` of its length, whichever mask the segmenter
        itself thinks best; a member's box is shifted by up to ``jitter``.
    trust, unconfirmed
        Where SAM's predicted IoU times its agreement with the component (DSC) is below ``trust``, the
        component itself stands, with the probability ``unconfirmed``.
    """

    method: str = "medclip-sam-v2"
    mode: str = "recommended"
    members: int = 4
    saliency: M2ibSettings = field(default_factory=M2ibSettings)
    relevance: float = 0.5
    relevance_tokens: float = 0.01
    binarise: str = "otsu"
    confidence: float = 0.5
    area: float = 0.3
    components: int = 2
    margins: tuple[float, ...] = (0.02, 0.1)
    jitter: float = 0.03
    trust: float = 0.48
    unconfirmed: float = 0.75

    def __post_init__(self) -> None:
        if self.members < 4:
            raise ValueError(f"uncertainty needs at least 4 members, got {self.members}")

    def record(self) -> dict[str, Any]:
        """Return every number as plain values, for reports, objects and UIDs."""
        return asdict(self)

    def overridden(self, values: dict[str, Any]) -> "Settings":
        """Return settings with some values replaced; ``saliency`` may be a mapping of its own values."""
        values = dict(values)
        if "saliency" in values:
            values["saliency"] = replace(self.saliency, **values["saliency"])
        return replace(self, **values)
