"""dciodvfy, which knows the standard and not us, finds no error in what we write."""

import subprocess
import sys
from pathlib import Path

import pytest

from operators.task import prompt_task
from tests.interop.objects import SOURCES, documents, found_in, images, stack_of
from tests.operators.results import provenance

DCIODVFY = Path(sys.executable).parent / "dciodvfy"
TOLERATED = (
    "Unrecognized defined term = <99TEXTSEG>",  # a private coding scheme is private
    "is only permitted to be empty when actually unknown",  # Laterality: it is unknown
    "Value dubious for this VR [PN]",  # names are copied from the source as they are
    "Shall not be present for Referenced SOP Class that is not segmentation",  # a label map is one, and young
)
IODS = {
    "Segmentation",
    "LabelMapSegmentation",
    "ParametricMap",
    "SCImage",
    "Comprehensive3DSR",
    "KeyObjectSelectionDocument",
}

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


@pytest.mark.parametrize(
    ("source", "prompt"),
    [*((source, None) for source in SOURCES), ("CT", "the liver, bright"), ("CR", "the liver, bright")],
)
def test_every_object_of_every_modality_is_clean(tmp_path, source, prompt):
    stack = stack_of(source, tmp_path / "in")
    made = provenance(prompt_task(prompt) if prompt else None)
    findings = found_in(stack)
    path = tmp_path / "result.dcm"
    for kind, result in (*images(stack, findings, made), *documents(stack, findings, made)):
        result.save_as(path, enforce_file_format=True)
        assert (kind, complaints(path)) == (kind, [])
