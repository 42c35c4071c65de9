"""Pictures of the demonstration for the README: ``python -m tests.interop.pictures DEMO FOLDER``."""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset

from tests.interop.ohif import Viewer, viewer

PICTURES = {"demo-lungs": "ohif-cr", "demo-liver": "ohif-ct", "demo-brain": "ohif-mr"}
COLOURS = 256
"""Of the palette: the pictures go into the repository."""


def draw(demo: Path, folder: Path) -> None:
    """Show each SEG, and the Parametric Map where there is one, on the slice with most of the segment."""
    shutil.copyfile(demo / "overlays" / "demo-lungs.png", folder / "lungs.png")
    received = [pydicom.dcmread(path) for path in sorted((demo / "received").glob("*.dcm"))]
    results = {one.SeriesDescription: one for one in received}
    with tempfile.TemporaryDirectory() as state, viewer(Path(state)) as ohif:
        ohif.archive.keep([*(demo / "studies").rglob("*.dcm"), *(demo / "received").glob("*.dcm")])
        for task, name in PICTURES.items():
            segmentation, entropy = (f"AI {task} {kind} - NOT FOR DIAGNOSTIC USE" for kind in ("SEG", "PM"))
            place = inside(results[segmentation])
            ohif.open(results[segmentation].StudyInstanceUID)
            ohif.segmentation(segmentation)
            shoot(ohif, place, folder / f"{name}-seg.png")
            if entropy in results:
                ohif.map(entropy)
                shoot(ohif, place, folder / f"{name}-pm.png")


def shoot(ohif: Viewer, place: tuple[float, ...], path: Path) -> None:
    """Save a picture of the slice of a place, in few colours."""
    ohif.look(place)
    ohif.picture(path)
    Image.open(path).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def inside(segmentation: Dataset) -> tuple[float, ...]:
    """Return a pixel of the frame with most of the segment, in LPS millimetres."""
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    frame = int(np.argmax(frames.sum(axis=(1, 2))))
    row, column = np.argwhere(frames[frame])[0]
    shared, own = (
        segmentation.SharedFunctionalGroupsSequence[0],
        segmentation.PerFrameFunctionalGroupsSequence[frame],
    )
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=np.float64)
    down, along = shared.PixelMeasuresSequence[0].PixelSpacing
    first = np.array(own.PlanePositionSequence[0].ImagePositionPatient, dtype=np.float64)
    return tuple((first + column * along * cosines[:3] + row * down * cosines[3:]).tolist())


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
