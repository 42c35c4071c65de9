"""Tracking identifiers: the same for what is the same by the rule, different for everything else."""

from pathlib import Path

import pytest

from operators.stack import build_stack
from operators.study import read_folder
from operators.task import prompt_task
from operators.tracking import Tracking, patient_key, tracking_of
from tests.operators.results import task
from tests.operators.synthetic import ROOT, radiograph, ultrasound, volume

MASS = {"value": "4147007", "scheme": "SCT", "meaning": "Mass"}
LESION = {"value": "49755003", "scheme": "SCT", "meaning": "Morphologically Abnormal Structure"}
lesion = task(
    targets=[{"segment": {"label": "Mass", "category": LESION, "type": MASS}, "prompts": ["a mass"]}]
)


def tracked(folder: Path, asked=None, plane: int = 0) -> Tracking:
    (series,) = read_folder(folder).series
    stack = build_stack(series)
    asked = asked or task()
    return tracking_of(stack, stack.planes[plane], asked, asked.targets[0])


def later(image, index):
    """Another study of the same patient."""
    image.StudyInstanceUID, image.StudyDate = f"{ROOT}.99", "20270301"
    image.SeriesInstanceUID, image.SOPInstanceUID = f"{ROOT}.98", f"{ROOT}.98.{index + 1}"
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID


def changed(keyword, value):
    return lambda image, _: setattr(image, keyword, value)


def test_a_volume_is_tracked_into_a_later_study_of_the_patient(tmp_path):
    volume(tmp_path / "now")
    volume(tmp_path / "later", edit=later)
    for asked in (task(), lesion):
        assert tracked(tmp_path / "now", asked) == tracked(tmp_path / "later", asked)


def test_an_organ_of_a_picture_is_tracked_into_a_later_study_and_a_lesion_is_not(tmp_path):
    radiograph(tmp_path / "now" / "x.dcm")
    radiograph(tmp_path / "later" / "x.dcm", edit=later)
    now, then = tmp_path / "now", tmp_path / "later"
    assert tracked(now) == tracked(then)
    assert tracked(now, lesion).uid != tracked(then, lesion).uid
    assert tracked(now, lesion) == tracked(now, lesion)


def test_lesions_of_two_frames_are_two_findings_that_people_can_tell_apart(tmp_path):
    ultrasound(tmp_path / "x.dcm", frames=3)
    first, second = (tracked(tmp_path, lesion, plane) for plane in (0, 1))
    assert first.uid != second.uid
    assert first.identifier == "liver/Mass/image 1 frame 1"
    assert second.identifier == "liver/Mass/image 1 frame 2"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientID", "PAT-8"),
        ("IssuerOfPatientID", "ELSEWHERE"),
        ("Laterality", "L"),
        ("ImageLaterality", "R"),
    ],
)
def test_another_patient_issuer_or_side_is_another_finding(tmp_path, keyword, value):
    volume(tmp_path / "one")
    volume(tmp_path / "other", edit=changed(keyword, value))
    assert tracked(tmp_path / "one").uid != tracked(tmp_path / "other").uid


def test_another_task_or_label_is_another_finding(tmp_path):
    volume(tmp_path)
    free = [prompt_task(f"the liver in an abdominal {kind}") for kind in ("scan", "slice")]
    uids = {tracked(tmp_path, asked).uid for asked in (task(), task(name="other"), lesion, *free)}
    assert len(uids) == 5


def test_without_a_patient_only_the_same_series_is_the_same_finding(tmp_path):
    def nameless(image, index):
        image.PatientID = ""

    def nameless_later(image, index):
        later(image, index)
        image.PatientID = ""

    volume(tmp_path / "now", edit=nameless)
    volume(tmp_path / "later", edit=nameless_later)
    assert tracked(tmp_path / "now").uid != tracked(tmp_path / "later").uid
    assert tracked(tmp_path / "now") == tracked(tmp_path / "now")


def test_the_side_is_named_and_the_patient_is_not(tmp_path):
    volume(tmp_path, edit=changed("Laterality", "L"))
    found = tracked(tmp_path)
    assert found.identifier == "liver/Liver/L"
    assert "PAT-7" not in found.identifier
    assert found.uid.startswith("2.25.")


def test_issuer_and_number_do_not_run_into_each_other():
    assert patient_key("12", "A") != patient_key("2", "A1")
