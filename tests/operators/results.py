"""Findings and provenance made for tests of the writers."""

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from models.bundles.record import ModelRecord
from operators.findings import Findings, crop_finding
from operators.pixels import read_values
from operators.provenance import Provenance
from operators.stack import ImageStack, VolumeStack
from operators.task import CodedConcept, Segment, Target, Task

ANATOMY = CodedConcept(value="91723000", scheme="SCT", meaning="Anatomical Structure")
LIVER = CodedConcept(value="10200004", scheme="SCT", meaning="Liver")


def task(name: str = "liver", **changes: object) -> Task:
    """A task with one target, the liver."""
    target = Target(
        segment=Segment(label="Liver", category=ANATOMY, type=LIVER), prompts=("bright", "the liver")
    )
    return Task.model_validate({"name": name, "targets": (target,), **changes})


def provenance(asked: Task | None = None, **changes: object) -> Provenance:
    """What a result is made of; keyword arguments replace single values."""
    values: dict[str, object] = {
        "task": asked or task(),
        "bundle": "toy",
        "bundle_version": "1.0",
        "bundle_digest": "ab" * 32,
        "models": (ModelRecord("ToyEncoder", "1", "cd" * 32, "Apache-2.0", "tests"),),
        "settings": {"members": 4, "saliency": {"beta": 0.1}},
        "software_version": "0.1.0",
        "quiet_at": datetime(2026, 3, 1, 11, 30, 5, tzinfo=UTC),
    }
    return Provenance(**{**values, **changes})  # type: ignore[arg-type]


def asymmetric(stack: ImageStack, planes: tuple[int, ...] = (1, 3), targets: int = 1) -> Findings:
    """Findings on some planes whose mask and entropy have no symmetry and differ from plane to plane."""
    made = []
    for plane in planes:
        rows, columns = stack.planes[plane].instance.rows, stack.planes[plane].instance.columns
        masks = np.zeros((targets, rows, columns), dtype=np.bool_)
        entropy = np.zeros((targets, rows, columns), dtype=np.float32)
        for target in range(targets):
            masks[target, 3 : 9 + plane, 5 + target : 20 + 2 * plane] = True
            masks[target, 9 + plane : 14 + plane, 5 : 8 + target] = True
            entropy[target, 2 : 8 + plane, 4:12] = 0.25 + 0.05 * plane
        finding = crop_finding(plane, stack.view(plane).window.rule, masks, entropy)
        assert finding is not None
        made.append(finding)
    return Findings(tuple(made), ())


def values_of(stack: VolumeStack) -> npt.NDArray[np.float32]:
    """Every value of a volume, (slices, rows, columns)."""
    return np.stack([read_values(plane) for plane in stack.planes])


def mask_volume(stack: VolumeStack, findings: Findings) -> npt.NDArray[np.bool_]:
    """The first target on the whole grid, (slices, rows, columns)."""
    whole = np.zeros(stack.grid.shape, dtype=np.bool_)
    for finding in findings.planes:
        whole[finding.plane] = finding.full_masks(*stack.grid.shape[1:])[0]
    return whole


def points_of(mask: npt.NDArray[np.bool_], affine: npt.NDArray[np.float64]) -> set[tuple[float, ...]]:
    """LPS millimetres, rounded to 0.01, of every voxel of a mask (slices, rows, columns)."""
    index = np.argwhere(mask)
    places = index @ affine[:3, :3].T + affine[:3, 3]
    return {tuple(place) for place in (np.round(places, 2) + 0.0).tolist()}
