"""What the method found in a stack: masks and their uncertainty, kept only where there are any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from models.ensemble.isolated import planes_without_isolated
from models.errors import Code
from models.uncertainty import ENTROPY_FLOOR_BITS
from operators.regions import SearchArea
from operators.task import MapName

LAST_FIRST = (Code.NO_MASK, Code.NO_COMPONENT, Code.MARGIN_LOW, Code.REGIONS_ALIKE, Code.NO_REGION)
"""Codes with which the method ends after it has judged that the target is there, the last stage's first."""

REASONS = {
    Code.TARGET_ABSENT: "No image shows what the prompt names.",
    Code.NO_REGION: "Fewer regions than the target has look like it.",
    Code.REGIONS_ALIKE: "The regions that look like the target are one region, proposed several times.",
    Code.MARGIN_LOW: "The text does not tell the target's region from the next one.",
    Code.NO_COMPONENT: "The saliency map has no confident component.",
    Code.NO_MASK: "No pixel is more likely inside the target than outside.",
}
"""What the code of a stack without a finding means to people."""

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Patch:
    """A part of a plane: pixel (0, 0) of ``values``, (h, w) float32, lies at (``top``, ``left``)."""

    top: int
    left: int
    values: FloatArray

    @property
    def place(self) -> tuple[slice, slice]:
        """The rows and columns of the plane that it covers."""
        height, width = self.values.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


@dataclass(frozen=True, eq=False)
class PlaneMap:
    """A quantity on one plane: where ``patches`` meet the largest value counts, outside all of them 0.

    ``plane`` is the index in the stack; at least one patch is not empty.
    """

    plane: int
    patches: tuple[Patch, ...]

    def full(self, rows: int, columns: int) -> FloatArray:
        """Return the quantity on the whole plane, (rows, columns)."""
        whole = np.zeros((rows, columns), dtype=np.float32)
        for patch in self.patches:
            here = whole[patch.place]
            np.maximum(here, patch.values, out=here)
        return whole

    @property
    def box(self) -> tuple[slice, slice]:
        """The rows and columns that hold all patches."""
        return _covering([patch.place for patch in self.patches if patch.values.size])


def _covering(places: Sequence[tuple[slice, slice]]) -> tuple[slice, slice]:
    """Return the smallest rectangle that holds all of ``places``, of which there is at least one."""
    return (
        slice(min(rows.start for rows, _ in places), max(rows.stop for rows, _ in places)),
        slice(min(columns.start for _, columns in places), max(columns.stop for _, columns in places)),
    )


@dataclass(frozen=True, eq=False)
class TargetFinding:
    """Mask and entropy (bits) of one target on one plane, (h, w), cropped to the rectangle that holds both.

    Pixel (0, 0) lies at (``top``, ``left``); a target of which there is nothing has arrays of (0, 0).
    """

    top: int
    left: int
    mask: BoolArray
    entropy: FloatArray

    @property
    def pixels(self) -> int:
        """Number of pixels of the mask."""
        return int(np.count_nonzero(self.mask))

    @property
    def mask_entropy(self) -> float:
        """Sum of the entropy over the mask."""
        return float(self.entropy[self.mask].sum(dtype=np.float64))

    @property
    def patch(self) -> Patch:
        """The entropy as a part of its plane."""
        return Patch(self.top, self.left, self.entropy)


@dataclass(frozen=True, eq=False)
class PlaneFinding:
    """Everything found on one plane, target by target.

    Every target is cropped for itself, because hundreds of planes stay in memory until the last one is
    judged. ``plane`` is the index in the stack, ``window`` the rule by which its values became the image that
    was judged.
    """

    plane: int
    window: str
    targets: tuple[TargetFinding, ...]

    @property
    def found(self) -> bool:
        """Whether any target has a pixel here."""
        return any(target.mask.any() for target in self.targets)

    @property
    def pixels(self) -> int:
        """Number of pixels of all masks; one of several targets counts several times."""
        return sum(target.pixels for target in self.targets)

    @property
    def covered(self) -> int:
        """Number of pixels that belong to at least one target."""
        rows, columns = self.entropy_map.box
        return int(self.full_masks(rows.stop, columns.stop).any(axis=0).sum())

    def full_masks(self, rows: int, columns: int) -> BoolArray:
        """Return the masks on the whole plane, (targets, rows, columns)."""
        whole = np.zeros((len(self.targets), rows, columns), dtype=np.bool_)
        for target, mask in zip(self.targets, whole, strict=True):
            mask[target.patch.place] = target.mask
        return whole

    def full_entropy(self, rows: int, columns: int) -> FloatArray:
        """Return the largest entropy over the targets on the whole plane, (rows, columns) in bits."""
        return self.entropy_map.full(rows, columns)

    @property
    def entropy_map(self) -> PlaneMap:
        """The entropy as a Parametric Map takes it."""
        return PlaneMap(self.plane, tuple(target.patch for target in self.targets))


def crop_finding(
    plane: int, window: str, masks: BoolArray, entropy: FloatArray, area: SearchArea | None = None
) -> PlaneFinding | None:
    """Crop (targets, h, w) masks and entropy to what matters; None when nothing does.

    They are those of all of the plane, or of the ``area`` of it that was searched: what lies beside the
    regions within it is no finding.
    """
    top, left = _corner(area)
    if area is not None:
        masks = masks & area.inside
    targets = []
    for mask, own in zip(masks, _floored(entropy, ENTROPY_FLOOR_BITS, area), strict=True):
        rows, columns = box = _box(mask | (own > 0))
        targets.append(
            TargetFinding(top + rows.start, left + columns.start, mask[box].copy(), own[box].copy())
        )
    if not any(target.mask.size for target in targets):
        return None
    return PlaneFinding(plane, window, tuple(targets))


def crop_map(plane: int, values: FloatArray, floor: float, area: SearchArea | None = None) -> PlaneMap | None:
    """Crop a quantity of (targets, h, w) to where it is at least ``floor``; None where it is nowhere.

    As :func:`crop_finding` does: target by target, of all of the plane or of the ``area`` that was searched.
    """
    top, left = _corner(area)
    patches = []
    for own in _floored(values, floor, area):
        rows, columns = _box(own > 0)
        patches.append(Patch(top + rows.start, left + columns.start, own[rows, columns].copy()))
    return PlaneMap(plane, tuple(patches)) if any(patch.values.size for patch in patches) else None


def _corner(area: SearchArea | None) -> tuple[int, int]:
    """Return the row and the column of the plane at which what was searched begins."""
    return (0, 0) if area is None else (area.frame.top, area.frame.left)


def _floored(values: FloatArray, floor: float, area: SearchArea | None) -> FloatArray:
    """Return values (targets, h, w) with 0 for those below the floor or beside the area."""
    kept = values >= floor if area is None else (values >= floor) & area.inside
    return np.where(kept, values, np.float32(0)).astype(np.float32)


def _box(matters: BoolArray) -> tuple[slice, slice]:
    """Return the rows and columns that hold all that matters of (h, w), none where nothing does."""
    rows, columns = np.flatnonzero(matters.any(axis=1)), np.flatnonzero(matters.any(axis=0))
    if not rows.size:
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything found in one stack. ``planes`` holds only planes where something matters, ascending.

    ``absent`` counts, over planes and targets, with which code the method ended where it found nothing.
    ``further`` holds the maps that the task asks for beside the entropy, where they have values, ascending.
    """

    planes: tuple[PlaneFinding, ...]
    absent: tuple[tuple[Code, int], ...]
    further: Mapping[MapName, tuple[PlaneMap, ...]] = field(default_factory=dict)

    def maps(self, name: MapName) -> tuple[PlaneMap, ...]:
        """Return the map of a quantity, at most one per plane; empty where it reaches its floor nowhere."""
        if name == "entropy":
            return tuple(plane.entropy_map for plane in self.planes)
        return self.further.get(name, ())

    @property
    def found(self) -> tuple[PlaneFinding, ...]:
        """The planes on which a target has a pixel."""
        return tuple(plane for plane in self.planes if plane.found)

    @property
    def code(self) -> Code:
        """The code that says best why nothing was found: that of the stage that was reached last."""
        codes = {code for code, _ in self.absent}
        return next((code for code in LAST_FIRST if code in codes), Code.TARGET_ABSENT)

    @property
    def pixels(self) -> int:
        """Number of pixels (voxels) that belong to at least one target."""
        return sum(plane.covered for plane in self.planes)


def without_isolated_findings(findings: Findings, spacing: float) -> Findings:
    """Return the findings without what is isolated along the slice axis, target by target.

    The rule is that of :mod:`models.ensemble.isolated`; ``spacing`` of the slices is in mm. The entropy map
    stays: members saw something there.
    """
    if not findings.planes:
        return findings
    kept = [
        _without_isolated({plane.plane: plane.targets[target] for plane in findings.planes}, spacing)
        for target in range(len(findings.planes[0].targets))
    ]
    planes = (
        replace(plane, targets=tuple(parts[plane.plane] for parts in kept)) for plane in findings.planes
    )
    return replace(findings, planes=tuple(planes))


def _without_isolated(parts: Mapping[int, TargetFinding], spacing: float) -> dict[int, TargetFinding]:
    """Return the parts of one target, by their planes, within the rectangle that holds all of its masks."""
    masked = {plane: part for plane, part in parts.items() if part.pixels}
    if not masked:
        return dict(parts)
    rows, columns = _covering([part.patch.place for part in masked.values()])
    whole = {}
    for plane, part in masked.items():
        mask = np.zeros((rows.stop, columns.stop), dtype=np.bool_)
        mask[part.patch.place] = part.mask
        whole[plane] = mask[rows, columns]
    cleared = planes_without_isolated(whole, spacing)
    for plane, part in masked.items():
        top, left = part.top - rows.start, part.left - columns.start
        height, width = part.mask.shape
        mask = cleared[plane][top : top + height, left : left + width]
        masked[plane] = replace(part, mask=mask.copy())
    return {**parts, **masked}


def mean_entropy(findings: Sequence[PlaneFinding]) -> float | None:
    """Return the mean entropy in bits over all mask pixels of all targets; None when there is no pixel."""
    pixels = sum(plane.pixels for plane in findings)
    entropy = sum(target.mask_entropy for plane in findings for target in plane.targets)
    return entropy / pixels if pixels else None
