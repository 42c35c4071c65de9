"""Any element may be missing or empty: the answer is a result or a refusal with a code, never a crash."""

import io

import pydicom
import pytest

from models.errors import Code, InputError
from operators.findings import Findings
from operators.key_object import key_object_selection
from operators.measurement_report import measurement_report
from operators.parametric_map import quantity_map
from operators.secondary_capture import note, picture_of
from operators.segmentation import picture_segmentation, volume_segmentation
from operators.selection import Decision, plan
from operators.stack import VolumeStack, build_stack
from operators.study import read_folder
from operators.written import Written
from tests.operators.complete import COMPLETE, elements, owner
from tests.operators.results import asymmetric, provenance, task

PIXELS = (
    "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored",
    "PixelRepresentation",
)  # fmt: skip
POSITION = ("ImagePositionPatient", "ImageOrientationPatient")
SHARED, OWN = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
REFUSED = {
    ("CT", "every file"): {Code.TAG_MISSING: PIXELS, Code.GEOMETRY_NO_POSITION: POSITION},
    ("CT", "one file"): {
        Code.TAG_MISSING: (*PIXELS, "RescaleSlope", "RescaleIntercept"),
        Code.GEOMETRY_NO_POSITION: POSITION,
        Code.GEOMETRY_MIXED_SIZE: ("PixelSpacing",),
        Code.GEOMETRY_MIXED_FRAME_OF_REFERENCE: ("FrameOfReferenceUID",),
        Code.PATIENT_MIXED: ("PatientID",),
        Code.UID_INVALID: ("StudyInstanceUID",),
    },
    ("Enhanced MR", "every file"): {
        Code.TAG_MISSING: PIXELS,
        Code.GEOMETRY_NO_POSITION: (
            SHARED,
            f"{SHARED}/PlaneOrientationSequence",
            f"{SHARED}/PlaneOrientationSequence/ImageOrientationPatient",
            OWN,
            f"{OWN}/PlanePositionSequence",
            f"{OWN}/PlanePositionSequence/ImagePositionPatient",
        ),
    },
    ("CR", "every file"): {Code.TAG_MISSING: PIXELS},
    ("MG", "every file"): {Code.TAG_MISSING: PIXELS},
    ("US", "every file"): {Code.TAG_MISSING: (*PIXELS, "PlanarConfiguration")},
}
"""Without which elements an image is refused; without any other one there is a result."""
QUICK = {(name, "every file") for name in ("CT", "Enhanced MR", "CR", "US")}


def codes_of(folder):
    """Return the codes of what is refused, after results of every kind were written for what is not."""
    content = read_folder(folder)
    codes = {note.code for note in content.damaged}
    for run in plan(content, [task(all=True)]):
        if run.decision is not Decision.RUN:
            codes.add(run.code)
            continue
        try:
            stack = build_stack(run.series)
            findings = asymmetric(stack, (len(stack.planes) // 2,))
        except InputError as error:
            codes.add(error.code)
        else:
            write_results(stack, findings)
    return codes


def write_results(stack, findings):
    """Write one object of every kind that the stack can have, and the report that nothing was found."""
    made, finding = provenance(), findings.planes[0]
    results = [picture_of(stack, finding, made), note(stack, made, "Nothing found", [])]
    if isinstance(stack, VolumeStack):
        seg = volume_segmentation(stack, findings, made)
        results.append(quantity_map(stack, findings, made))
        written = [Written.of(seg, "SEG")]
    else:
        seg = picture_segmentation(stack, finding, made)
        written = [Written.of(seg, "SEG", finding.plane)]
    results += [
        seg,
        measurement_report(stack, findings, made, written),
        measurement_report(stack, Findings((), ()), made),
        key_object_selection(stack, findings.found, made),
    ]
    for result in results:
        result.save_as(io.BytesIO(), enforce_file_format=True)


def spoil(image, path, how):
    holder = owner(image, path)
    if how == "absent":
        del holder[path[-1]]
    else:
        holder[path[-1]].value = [] if holder[path[-1]].VR == "SQ" else None


@pytest.mark.parametrize("how", ["absent", pytest.param("empty", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "where"),
    [case if case in QUICK else pytest.param(*case, marks=pytest.mark.slow) for case in REFUSED],
)
def test_an_element_less_is_a_result_or_a_refusal_with_a_code(tmp_path, name, where, how):
    COMPLETE[name](tmp_path / "whole")
    files = sorted((tmp_path / "whole").iterdir())
    refused = {}
    for number, path in enumerate(elements(pydicom.dcmread(files[0]))):
        folder = tmp_path / str(number)
        folder.mkdir()
        for index, file in enumerate(files):
            image = pydicom.dcmread(file)
            if where == "every file" or index == 1:
                spoil(image, path, how)
            image.save_as(folder / file.name)
        codes = codes_of(folder)
        if codes:
            refused["/".join(step for step in path if isinstance(step, str))] = codes
    without_pixels = Code.PIXELS_MISSING if how == "absent" else Code.FILE_TRUNCATED
    expected = {**REFUSED[name, where], without_pixels: ("PixelData",)}
    assert refused == {keyword: {code} for code, keywords in expected.items() for keyword in keywords}
