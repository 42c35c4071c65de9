"""A process that writes one result of a long CT and prints what that took, as JSON.

    python tests/benchmarks/long_ct.py "SEG binary" FILE

600 slices of 512 x 512, three segments as large as organs, each on all slices. Headers, findings and
libraries (torch among them) are in memory, as they are in the worker; the voxels of the CT, which no writer
looks at, are not.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
from pydicom.uid import CTImageStorage

from models.intensity import choose_window
from operators.findings import Findings, crop_finding
from operators.geometry import build_grid
from operators.instance import Instance
from operators.parametric_map import quantity_map
from operators.provenance import Provenance
from operators.segmentation import volume_segmentation
from operators.slices import slices_of
from operators.stack import VolumeStack
from operators.study import Series
from tests.operators.results import ANATOMY, LIVER, provenance, task
from tests.operators.synthetic import ROOT, STUDY, header

SLICES, SIDE, SEGMENTS = 600, 512, 3
CENTRES = ((170, 150), (170, 360), (370, 256))
RADIUS, DOUBT = 105, 12
"""In pixels: the largest radius of a segment, and how far around its border the members disagree."""


def stack() -> VolumeStack:
    """The CT, as headers and a grid."""
    instances = []
    for number in range(SLICES):
        image = header("CT", CTImageStorage, f"{ROOT}.2", number + 1, np.zeros((2, 2), dtype=np.int16))
        del image.PixelData
        image.Rows = image.Columns = SIDE
        image.FrameOfReferenceUID, image.PositionReferenceIndicator = f"{ROOT}.3", ""
        image.ImagePositionPatient, image.ImageOrientationPatient = [-200, -200, number], [1, 0, 0, 0, 1, 0]
        image.PixelSpacing, image.SliceThickness = [0.8, 0.8], 1
        uid = str(image.SOPInstanceUID)
        instances.append(
            Instance(Path(uid), image, uid, f"{ROOT}.2", STUDY, CTImageStorage, "CT", SIDE, SIDE, 1)
        )
    planes = tuple(plane for instance in instances for plane in slices_of(instance))
    grid = build_grid(planes)
    values = np.broadcast_to(np.float32(60), grid.shape)
    series = Series(STUDY, f"{ROOT}.2", tuple(instances))
    return VolumeStack(series, planes, grid, values, choose_window(values[:1], "CT"))


def findings(rule: str) -> Findings:
    """Three ellipsoids along the patient, with doubt around their borders."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    made = []
    for number in range(SLICES):
        radius = RADIUS * np.sqrt(1 - (2 * (number + 0.5) / SLICES - 1) ** 2)
        depth = np.stack([np.hypot(rows - row, columns - column) - radius for row, column in CENTRES])
        entropy = np.clip(1 - np.abs(depth) / DOUBT, 0, 1).astype(np.float32)
        finding = crop_finding(number, rule, depth < 0, entropy)
        assert finding is not None
        made.append(finding)
    return Findings(tuple(made), ())


def made_by(segmentation_type: str) -> Provenance:
    """Three segments under one task."""
    names = [f"Segment {number + 1}" for number in range(SEGMENTS)]
    targets = [
        {"segment": {"label": name, "category": ANATOMY, "type": LIVER}, "prompts": [name]} for name in names
    ]
    return provenance(task(targets=targets, segmentation_type=segmentation_type))


def megabytes() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main(kind: str, path: Path) -> None:
    """Write one result and print time, size and peak memory."""
    source = stack()
    found = findings(source.window.rule)
    before, start = megabytes(), time.perf_counter()
    if kind == "PM":
        result = quantity_map(source, found, made_by("binary"))
    else:
        result = volume_segmentation(source, found, made_by(kind.removeprefix("SEG ")))
    result.save_as(path, enforce_file_format=True)
    measured = {
        "seconds": time.perf_counter() - start,
        "megabytes": path.stat().st_size / 1e6,
        "peak": megabytes(),
        "before": before,
    }
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
