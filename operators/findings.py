"""What the method found in a stack: masks and their uncertainty, kept only where there are any."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models.ensemble.isolated import planes_without_isolated
from models.errors import Code
from models.uncertainty import ENTROPY_FLOOR_BITS
from operators.regions import SearchArea

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
class PlaneMap:
    """A quantity on one plane of a stack, cropped: pixel (0, 0) of ``values`` lies at (``top``, ``left``).

    ``values`` is (h, w) float32; everything outside is 0. ``plane`` is the index in the stack.
    """

    plane: int
    top: int
    left: int
    values: FloatArray

    @property
    def bottom(self) -> int:
        """Row after the last one."""
        return self.top + int(self.values.shape[0])

    @property
    def right(self) -> int:
        """Column after the last one."""
        return self.left + int(self.values.shape[1])


@dataclass(frozen=True, eq=False)
class PlaneFinding:
    """Masks and entropy of one plane, cropped to the rectangle that holds them.

    ``masks`` is (targets, h, w) bool, ``entropy`` (h, w) float32: the largest over the targets in bits; pixel
    (0, 0) of both lies at (``top``, ``left``) of the plane. ``mask_entropy`` is, per target, the sum of its
    own entropy over its own mask. Entropies of the targets are not kept apart: hundreds of planes stay in
    memory until the last one is judged. ``plane`` is the index in the stack, ``window`` the rule by which
    its values became the image that was judged.
    """

    plane: int
    window: str
    top: int
    left: int
    masks: BoolArray
    entropy: FloatArray
    mask_entropy: tuple[float, ...]

    @property
    def found(self) -> bool:
        """Whether any target has a pixel here."""
        return bool(self.masks.any())

    def full_masks(self, rows: int, columns: int) -> BoolArray:
        """Return the masks on the whole plane, (targets, rows, columns)."""
        whole = np.zeros((len(self.masks), rows, columns), dtype=np.bool_)
        whole[:, *self.pixels] = self.masks
        return whole

    @property
    def entropy_map(self) -> PlaneMap:
        """The entropy as a Parametric Map takes it."""
        return PlaneMap(self.plane, self.top, self.left, self.entropy)

    def full_entropy(self, rows: int, columns: int) -> FloatArray:
        """Return the largest entropy over the targets on the whole plane, (rows, columns) in bits."""
        whole = np.zeros((rows, columns), dtype=np.float32)
        whole[self.pixels] = self.entropy
        return whole

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Index of the rectangle in the plane."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def bottom(self) -> int:
        """Row after the last one."""
        return self.top + int(self.masks.shape[1])

    @property
    def right(self) -> int:
        """Column after the last one."""
        return self.left + int(self.masks.shape[2])


def crop_finding(
    plane: int, window: str, masks: BoolArray, entropy: FloatArray, area: SearchArea | None = None
) -> PlaneFinding | None:
    """Crop (targets, h, w) masks and entropy to what matters; None when nothing does.

    They are those of all of the plane, or of the ``area`` of it that was searched: what lies beside the
    regions within it is no finding.
    """
    top, left = (area.frame.top, area.frame.left) if area is not None else (0, 0)
    if area is not None:
        masks, entropy = masks & area.inside, np.where(area.inside, entropy, np.float32(0))
    floored = np.where(entropy >= ENTROPY_FLOOR_BITS, entropy, np.float32(0))
    matters: BoolArray = np.any(masks | (floored > 0), axis=0)
    if not matters.any():
        return None
    rows, columns = np.flatnonzero(matters.any(axis=1)), np.flatnonzero(matters.any(axis=0))
    box = np.s_[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    masks, floored = masks[box].copy(), floored[box].astype(np.float32)
    sums = (float(own[mask].sum(dtype=np.float64)) for own, mask in zip(floored, masks, strict=True))
    corner = (top + int(rows[0]), left + int(columns[0]))
    return PlaneFinding(plane, window, *corner, masks, floored.max(axis=0), tuple(sums))


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything found in one stack. ``planes`` holds only planes where something matters, ascending.

    ``absent`` counts, over planes and targets, with which code the method ended where it found nothing.
    """

    planes: tuple[PlaneFinding, ...]
    absent: tuple[tuple[Code, int], ...]

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
        return sum(int(plane.masks.any(axis=0).sum()) for plane in self.planes)


def without_isolated_findings(findings: Findings, spacing: float) -> Findings:
    """Return the findings without what is isolated along the slice axis, target by target.

    The rule is that of :mod:`models.ensemble.isolated`; ``spacing`` of the slices is in mm. The entropy map
    stays: members saw something there.
    """
    planes = findings.planes
    if not planes:
        return findings
    rows, columns = max(plane.bottom for plane in planes), max(plane.right for plane in planes)
    whole = {plane.plane: plane.full_masks(rows, columns) for plane in planes}
    targets = range(len(planes[0].masks))
    kept = [
        planes_without_isolated({index: masks[target] for index, masks in whole.items()}, spacing)
        for target in targets
    ]
    return replace(
        findings,
        planes=tuple(
            _with_masks(plane, np.stack([kept[target][plane.plane][plane.pixels] for target in targets]))
            for plane in planes
        ),
    )


def _with_masks(plane: PlaneFinding, masks: BoolArray) -> PlaneFinding:
    """Return a plane with smaller masks. Of several targets' entropies only the largest is still known."""
    known = (float(plane.entropy[mask].sum(dtype=np.float64)) for mask in masks)
    sums = tuple(min(own, before) for own, before in zip(known, plane.mask_entropy, strict=True))
    return replace(plane, masks=masks, mask_entropy=sums)


def mean_entropy(findings: Sequence[PlaneFinding]) -> float | None:
    """Return the mean entropy in bits over all mask pixels of all targets; None when there is no pixel."""
    pixels = sum(int(plane.masks.sum()) for plane in findings)
    return sum(sum(plane.mask_entropy) for plane in findings) / pixels if pixels else None
