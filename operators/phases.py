"""A series of several phases taken apart, only where every part then is a regular volume.

Contrast phases, time points, echoes, b-values and heart phases often share one Series Instance UID; their
slices then lie on each other. The attributes that may tell them apart are tried in a stated order.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.errors import Code
from operators import header as tags
from operators.faults import find_faults
from operators.slices import Slice


@dataclass(frozen=True)
class Attribute:
    """What may tell phases apart: a keyword of the header, and where a frame of an enhanced image has it."""

    name: str
    group: str = ""
    keyword: str = ""

    def of(self, plane: Slice) -> str:
        """Return the value of one plane as text; the empty string where there is none."""
        if self.name == MULTIFRAME:
            return plane.instance.sop_instance_uid if plane.instance.frames > 1 else ""
        if plane.groups:
            return tags.text(plane.group(self.group), self.keyword) if self.group else ""
        return tags.text(plane.instance.header, self.name)


MULTIFRAME = "SOPInstanceUID"
"""Tried first: a result refers to frames of one multi-frame object, never of several."""

SPLIT_BY = (
    Attribute(MULTIFRAME),
    Attribute("AcquisitionNumber", "FrameContentSequence", "FrameAcquisitionNumber"),
    Attribute("TemporalPositionIdentifier", "FrameContentSequence", "TemporalPositionIndex"),
    Attribute("EchoNumbers"),
    Attribute("EchoTime", "MREchoSequence", "EffectiveEchoTime"),
    Attribute("DiffusionBValue", "MRDiffusionSequence", "DiffusionBValue"),
    Attribute(
        "NominalPercentageOfCardiacPhase",
        "CardiacSynchronizationSequence",
        "NominalPercentageOfCardiacPhase",
    ),
    Attribute("TriggerTime", "CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    Attribute("FrameReferenceTime"),
    Attribute("ImageType", "MRImageFrameTypeSequence", "FrameType"),
    Attribute("ConvolutionKernel", "CTReconstructionSequence", "ConvolutionKernel"),
    Attribute("AcquisitionTime", "FrameContentSequence", "FrameAcquisitionDateTime"),
)
"""The attributes in the order in which they are tried."""

TOLD_APART = frozenset({Code.GEOMETRY_DUPLICATE_POSITION, Code.GEOMETRY_MIXED_MULTIFRAME})
"""Faults of which phases in one series can be the cause."""


@dataclass(frozen=True)
class Phase:
    """A part of a series that is a volume. ``label`` says by what, such as ``AcquisitionNumber=2``."""

    label: str
    planes: tuple[Slice, ...] = field(repr=False)


def split(planes: Sequence[Slice]) -> tuple[Phase, ...]:
    """Return the phases of a series, or nothing when it is none of several phases or they are no volumes.

    Only a series whose slices lie on each other is taken apart: one that misses slices is not repaired.
    Every phase has at least two slices, unless the whole series lies at one position.
    """
    if not _phases_on_each_other(planes):
        return ()
    positions = {plane.position for plane in planes}
    return _split(planes, SPLIT_BY, 1 if len(positions) == 1 else 2)


def _split(planes: Sequence[Slice], attributes: Sequence[Attribute], least: int) -> tuple[Phase, ...]:
    """Split by the first attribute that leaves volumes only, or parts that a later attribute splits."""
    for number, attribute in enumerate(attributes, start=1):
        groups = _groups(planes, attribute)
        if len(groups) < 2 or min(len(members) for members in groups.values()) < least:
            continue
        phases: list[Phase] = []
        for value, members in groups.items():
            label = f"{attribute.name}={value}"
            if not find_faults(members):
                phases.append(Phase(label, tuple(members)))
                continue
            deeper = _split(members, attributes[number:], least) if _phases_on_each_other(members) else ()
            if not deeper:
                break
            phases += [Phase(f"{label}, {phase.label}", phase.planes) for phase in deeper]
        else:
            return tuple(phases)
    return ()


def _phases_on_each_other(planes: Sequence[Slice]) -> bool:
    return any(fault.code in TOLD_APART for fault in find_faults(planes))


def _groups(planes: Sequence[Slice], attribute: Attribute) -> dict[str, list[Slice]]:
    """Return the planes by value, numbers in their order before other values in theirs."""
    groups: dict[str, list[Slice]] = defaultdict(list)
    for plane in planes:
        groups[attribute.of(plane)].append(plane)
    return dict(sorted(groups.items(), key=lambda item: _order(item[0])))


def _order(value: str) -> tuple[bool, float, str]:
    try:
        return (False, float(value), value)
    except ValueError:
        return (True, 0.0, value)
