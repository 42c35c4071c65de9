"""A process that writes one result of a long CT and prints what that took, as JSON.

    python tests/benchmarks/long_ct.py "SEG binary" FOLDER FILE

The CT in FOLDER is read and prepared as in the worker. Found are three segments as large as organs, each on
all slices; libraries (torch among them), headers and findings are in memory, as they are in the worker.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from operators.findings import Findings, crop_finding
from operators.parametric_map import quantity_map
from operators.provenance import Provenance
from operators.segmentation import volume_segmentation
from operators.stack import VolumeStack, build_stack
from operators.study import read_folder
from tests.operators.results import ANATOMY, LIVER, provenance, task
from tests.operators.synthetic import volume

SLICES, SIDE, SEGMENTS = 600, 512, 3
CENTRES = ((170, 150), (170, 360), (370, 256))
RADIUS, DOUBT = 105, 12
"""In pixels: the largest radius of a segment, and how far around its border the members disagree."""


def write_source(folder: Path) -> None:
    """Write the CT: 600 files of 512 x 512."""
    pixels = np.random.default_rng(0).integers(-1000, 1000, (SIDE, SIDE), dtype=np.int16)
    volume(folder, np.broadcast_to(pixels, (SLICES, SIDE, SIDE)), spacing=(1.0, 0.8, 0.8))


def stack(folder: Path) -> VolumeStack:
    """The CT as the worker has it."""
    (series,) = read_folder(folder).series
    made = build_stack(series)
    assert isinstance(made, VolumeStack)
    return made


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


def main(kind: str, folder: Path, path: Path) -> None:
    """Write one result and print time, size and peak memory."""
    source = stack(folder)
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
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
