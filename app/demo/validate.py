"""What the demonstration demands of every object that came back."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import highdicom
import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

KINDS = {
    SegmentationStorage: "SEG",
    ParametricMapStorage: "PM",
    SecondaryCaptureImageStorage: "SC",
    Comprehensive3DSRStorage: "SR",
}
PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
STUDY = ("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber")
DESCRIPTION = re.compile(r"AI (?P<task>\S+)( \[REVIEW\])? (?P<kind>SEG|PM|SC|SR) - NOT FOR DIAGNOSTIC USE")


def kind(image: Dataset) -> str:
    """Return SEG, PM, SC or SR, or the SOP class itself when it is none of them."""
    return KINDS.get(image.SOPClassUID, str(image.SOPClassUID))


def task(image: Dataset) -> str:
    """Return the task that an object names in its SeriesDescription; empty when it names none."""
    match = DESCRIPTION.match(str(image.get("SeriesDescription", "")))
    return match["task"] if match else ""


def problems(path: Path, sources: Sequence[Dataset]) -> list[str]:
    """Say what is wrong with an object made from ``sources``; nothing when it is as it must be."""
    image = dcmread(path)
    found = [*_names(image), *_identity(image, sources[0]), *_references(image, sources)]
    if image.SOPClassUID == SegmentationStorage:
        segmentation = highdicom.seg.segread(path)
        if not segmentation.pixel_array.any():
            found.append("the segmentation is empty")
    if image.SOPClassUID == ParametricMapStorage:
        found += _ascending_floats(image)
    found += conformance(path)
    return [f"{kind(image)} {path.name}: {problem}" for problem in found]


def _names(image: Dataset) -> list[str]:
    found = []
    uid = UID(image.SOPInstanceUID)
    if not (uid.is_valid and uid.startswith("2.25.")):
        found.append(f"SOPInstanceUID {uid} is not a UUID-derived UID")
    description = str(image.get("SeriesDescription", ""))
    match = DESCRIPTION.match(description)
    if match is None or len(description) > 64:
        found.append(f"SeriesDescription {description!r} hides what it is, or that it is not for diagnosis")
    elif match["kind"] != kind(image):
        found.append(f"SeriesDescription says {match['kind']}")
    return found


def _identity(image: Dataset, source: Dataset) -> list[str]:
    """Patient and study must be those of the source; the values stay out of the message."""
    return [
        f"{name} differs from the source" for name in PATIENT + STUDY if image.get(name) != source.get(name)
    ]


def _references(image: Dataset, sources: Sequence[Dataset]) -> list[str]:
    known = {source.SOPInstanceUID for source in sources}
    if kind(image) == "SR":
        return [] if known <= _evidence(image) else ["it does not list its source images as evidence"]
    named = {
        reference.ReferencedSOPInstanceUID
        for series in image.get("ReferencedSeriesSequence", ())
        for reference in series.get("ReferencedInstanceSequence", ())
    }
    if kind(image) != "SC" and not named:
        return ["it refers to no source image"]
    return ["it refers to images outside its series"] if not named <= known else []


def _evidence(report: Dataset) -> set[str]:
    """Return the instances that a report was made of."""
    return {
        instance.ReferencedSOPInstanceUID
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }


def _ascending_floats(image: Dataset) -> list[str]:
    """Viewers place frames in stored order from the lowest along the slice normal (no reordering)."""
    found = []
    if "FloatPixelData" not in image:
        found.append("its pixels are not 32-bit floats")
    orientation = np.array(_plane(image, "PlaneOrientationSequence").ImageOrientationPatient, float)
    normal = np.cross(orientation[:3], orientation[3:])
    heights = [
        float(normal @ np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float))
        for frame in image.PerFrameFunctionalGroupsSequence
    ]
    if heights != sorted(heights):
        found.append("its frames do not ascend along the slice normal")
    return found


def _plane(image: Dataset, group: str) -> Dataset:
    """Return a functional group that is shared, or that of the first frame."""
    shared = image.SharedFunctionalGroupsSequence[0]
    holder = shared if group in shared else image.PerFrameFunctionalGroupsSequence[0]
    return holder[group][0]  # type: ignore[no-any-return]


def conformance(path: Path) -> list[str]:
    """Return the errors that dciodvfy (PS3.3 conformance) finds; nothing when it is not installed."""
    program = validator()
    if program is None:
        return []
    result = subprocess.run([program, path], capture_output=True, text=True, errors="replace", check=False)
    lines = (result.stdout + result.stderr).splitlines()
    return [f"dciodvfy: {line}" for line in lines if line.startswith("Error")]


def validator() -> str | None:
    """Return the path of dciodvfy: beside this Python (package dicom3tools) or on the PATH."""
    beside = Path(sys.executable).with_name("dciodvfy")
    return str(beside) if beside.exists() else shutil.which("dciodvfy")
