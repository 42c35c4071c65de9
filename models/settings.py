"""The numbers of the method, all in one place, so that every result can say which produced it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import TypeAdapter, ValidationError

from models.masks.coarse import MaskSettings
from models.saliency.gscorecam import GScoreCamSettings
from models.saliency.m2ib import M2ibSettings
from models.salip.settings import SalipSettings
from models.segmenters.prompts import Policy, PromptSettings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class SaliencySettings:
    """How a text becomes a map.

    Attributes
    ----------
    method
        M2IB (MedCLIP-SAMv2), gScoreCAM (MedCLIP-SAM) or GradCAM.
    layer
        Block of the image tower, from 0, after which the bottleneck lies; None is the encoder's own place.
    framing
        How an encoder of square images sees others: ``fit`` all of it, ``crop`` the middle (the papers).
    weigh
        Whether the map of a calibrated encoder is weighed by the agreement of each place with the text. What
        passes where tokens disagree with the text speaks of something else; on slices with many organs it
        outweighs the one that is meant.
    """

    method: Literal["m2ib", "gscorecam", "gradcam"] = "m2ib"
    layer: int | None = None
    framing: Literal["fit", "crop"] = "fit"
    weigh: bool = True
    m2ib: M2ibSettings = field(default_factory=M2ibSettings)
    gscorecam: GScoreCamSettings = field(default_factory=GScoreCamSettings)


@dataclass(frozen=True)
class VisualSettings(PromptSettings):
    """How a component becomes prompts to SAM, and which of its answers are believed.

    Of several margins the mask stays that the segmenter itself thinks best; each member is jittered anew.

    Attributes
    ----------
    multimask
        Whether SAM is asked for one mask, or for three of which its predicted IoU chooses.
    outline
        Where the CRF's outline of the target agrees with the component (DSC) better than SAM's mask by more
        than this, the outline stands (:mod:`models.masks.outline`). 1 never asks the CRF.
    trust, unconfirmed
        Where SAM's predicted IoU times its agreement with the component (DSC) is below ``trust``, the
        component itself stands, with the probability ``unconfirmed``. A trust of 0 always believes SAM.
    """

    margins: tuple[float, ...] = (0.02, 0.1)
    jitter: float = 0.03
    multimask: Policy = "single"
    outline: float = 0.06
    trust: float = 0.48
    unconfirmed: float = 0.75


@dataclass(frozen=True)
class EnsembleSettings:
    """How the bundle's checkpoint ensembles are asked.

    Attributes
    ----------
    vote
        Whether they vote at all, each on the prompts that it was trained for, in the place of the method's
        own members. Tasks say so; a method alone does not use them.
    mirror
        Whether every member sees the image mirrored along both axes, too: four passes for one.
    precision
        ``bf16`` where the device has instructions for it (AVX512-BF16, AMX); elsewhere ``fp32`` computes, and
        is what results say.
    converged, at_least
        After ``at_least`` members a slice is finished when one more changes its entropy by less than so many
        bits where it is unsure; None asks all members. How many were asked is part of the result.
    """

    vote: bool = False
    mirror: bool = True
    precision: Literal["fp32", "bf16"] = "fp32"
    converged: float | None = None
    at_least: int = 4


@dataclass(frozen=True)
class Settings:
    """Effective configuration of one run of the method; :mod:`models.presets` has the named ones.

    Attributes
    ----------
    members
        Full paths from noise seed to mask; at least 4.
    relevance
        The prompt is absent unless the best tokens are this probable (mean over ``relevance_tokens`` of all).
        Judged where the encoder is calibrated; 0 never says absent.
    """

    method: str = "medclip-sam-v2"
    mode: str = "recommended"
    members: int = 4
    relevance: float = 0.5
    relevance_tokens: float = 0.01
    saliency: SaliencySettings = field(default_factory=SaliencySettings)
    masks: MaskSettings = field(default_factory=MaskSettings)
    visual: VisualSettings = field(default_factory=VisualSettings)
    salip: SalipSettings = field(default_factory=SalipSettings)
    ensemble: EnsembleSettings = field(default_factory=EnsembleSettings)

    def __post_init__(self) -> None:
        if self.members < 4:
            raise ValueError(f"uncertainty needs at least 4 members, got {self.members}")

    def record(self) -> dict[str, Any]:
        """Return every number as plain values, for reports, objects and UIDs."""
        return asdict(self)

    def overridden(self, values: Mapping[str, Any]) -> Self:
        """Return settings with some values replaced; a group may be a mapping of its own values.

        Raises ValueError, in one line, for a name that is no setting or a value that it cannot have.
        """
        adapter = TypeAdapter(type(self))
        try:
            return adapter.validate_python(_merged(self, values))
        except ValidationError as error:
            wrong = ("".join(f"{part}: " for part in one["loc"]) + one["msg"] for one in error.errors())
            raise ValueError("; ".join(wrong)) from error


def _merged(settings: "DataclassInstance", values: Mapping[str, Any]) -> dict[str, Any]:
    """Return all values of a group as plain ones, some replaced."""
    unknown = {str(name) for name in values} - {one.name for one in fields(settings)}
    if unknown:
        raise ValueError(f"{type(settings).__name__} has no {', '.join(sorted(unknown))}")
    merged = {}
    for one in fields(settings):
        current, value = getattr(settings, one.name), values.get(one.name)
        if not is_dataclass(current) or isinstance(current, type):
            merged[one.name] = values.get(one.name, current)
        elif one.name not in values or isinstance(value, Mapping):
            merged[one.name] = _merged(current, value or {})
        else:
            raise ValueError(f"{one.name} is a group of settings, not {value!r}")
    return merged
