"""The graph: one task on one series, again and again in one process, with refusals as outcomes."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pydicom
import pytest
from highdicom.sr import srread
from pydicom.sr.codedict import codes

from app.application import RunContext, run_task
from models.errors import Code, PromptError
from models.method import Method
from operators.identifiers import is_own_uid
from operators.measurement_groups import RESULT
from operators.quantity import ENTROPY
from operators.task import Destination, prompt_task
from tests.app.toy_bundle import toy_bundle
from tests.operators.results import ANATOMY, LIVER, task
from tests.operators.synthetic import ROOT, enhanced, phantom, radiograph, ultrasound, volume

CT, CR, US = f"{ROOT}.2", f"{ROOT}.5", f"{ROOT}.6"
BRIGHT = prompt_task("bright")


@pytest.fixture
def context():
    return RunContext(Method(toy_bundle()), datetime(2026, 3, 1, 11, 30, 5, tzinfo=UTC), "0.1.0")


def kinds(outcome):
    return [pydicom.dcmread(file, stop_before_pixels=True).Modality for file in outcome.files]


def test_a_volume_gets_a_segmentation_and_a_map(tmp_path, context):
    volume(tmp_path / "in")
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, BRIGHT, context)
    assert (outcome.status, outcome.code) == ("found", None)
    assert sorted(kinds(outcome)) == ["OT", "SEG"] or sorted(kinds(outcome)) == ["CT", "SEG"]
    assert outcome.volume_ml > 0
    assert 0 <= outcome.uncertainty <= 1
    assert {"load", "select", "volume", "saliency", "coarse", "sam", "ensemble", "vote", "write"} == set(
        outcome.seconds
    )
    seg = pydicom.dcmread(next(file for file in outcome.files if "-seg-" in file.name))
    planes = {
        tuple(frame.PlanePositionSequence[0].ImagePositionPatient)
        for frame in seg.PerFrameFunctionalGroupsSequence
    }
    assert {place[2] for place in planes} <= {102.5, 105.0, 107.5, 110.0}
    assert {str(uid) for uid in outcome.sop_instance_uids} >= {str(seg.SOPInstanceUID)}
    assert all(is_own_uid(uid) for uid in outcome.sop_instance_uids)


def test_slices_without_the_target_stay_empty(tmp_path, context):
    values = phantom()
    values[3:] = -900
    volume(tmp_path / "in", values)
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, BRIGHT, context)
    assert outcome.images_found == 2


def nothing(**changes):
    return prompt_task("sitting on a chair").model_copy(update=changes)


ALL_KINDS = ("seg", "pm", "sc", "sr", "ko")


def test_nothing_found_leaves_one_report_and_no_segmentation(tmp_path, context):
    volume(tmp_path / "in")
    asked = nothing(outputs=ALL_KINDS)
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, asked, context)
    assert (outcome.status, outcome.code) == ("nothing-found", Code.TARGET_ABSENT)
    assert kinds(outcome) == ["SR"]
    (group,) = srread(outcome.files[0]).content.get_image_measurement_groups()
    (answer,) = group.get_qualitative_evaluations(RESULT)
    assert answer.value.value == "NOTHING-FOUND"
    assert "sitting on a chair" in [getattr(item, "TextValue", "") for item in group[0].ContentSequence]


@pytest.mark.parametrize(
    ("accepts", "kind"),
    [((), "SR"), ((("SEG", "SR"), ("SR",)), "SR"), ((("SEG", "SR"), ("SEG", "SC")), "OT")],
    ids=["no destination", "all take reports", "one does not"],
)
def test_nothing_found_is_a_secondary_capture_where_a_destination_takes_no_report(
    tmp_path, context, accepts, kind
):
    volume(tmp_path / "in")
    asked = nothing(destinations=tuple(Destination(ae="A", accepts=kinds) for kinds in accepts))
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, asked, context)
    assert kinds(outcome) == [kind]


def test_the_report_refers_to_what_the_same_run_wrote(tmp_path, context):
    volume(tmp_path / "in")
    asked = BRIGHT.model_copy(update={"outputs": ("seg", "pm", "sr")})
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, asked, context)
    written = {file.name.split("-")[-2]: pydicom.dcmread(file) for file in outcome.files}
    report = srread(next(file for file in outcome.files if "-sr-" in file.name))
    (group,) = report.content.get_volumetric_roi_measurement_groups()
    assert group.referenced_segment.referenced_sop_instance_uid == written["seg"].SOPInstanceUID
    assert group.tracking_uid == written["seg"].SegmentSequence[0].TrackingUID
    volumes = group.get_measurements(codes.SCT.Volume)
    assert volumes[0].value == pytest.approx(outcome.volume_ml, abs=1e-3)
    (mean,) = group.get_measurements(ENTROPY.concept)
    assert mean.value == pytest.approx(outcome.uncertainty, abs=1e-4)
    assert mean.referenced_images[0].referenced_sop_instance_uid == written["pm"].SOPInstanceUID


def test_a_loop_gets_one_report_on_its_results_and_key_images_among_them(tmp_path, context):
    ultrasound(tmp_path / "in" / "x.dcm", frames=5)
    asked = BRIGHT.model_copy(update={"outputs": ("seg", "sr", "ko"), "max_results_per_study": 3})
    outcome = run_task(tmp_path / "in", tmp_path / "out", US, asked, context)
    assert sorted(kinds(outcome)) == ["KO", "SEG", "SEG", "SEG", "SR"]
    report = srread(next(file for file in outcome.files if "-sr-" in file.name))
    groups = report.content.get_planar_roi_measurement_groups()
    assert len({group.tracking_uid for group in groups}) == 3
    selection = pydicom.dcmread(next(file for file in outcome.files if "-ko-" in file.name))
    frames = [
        item.ReferencedSOPSequence[0].ReferencedFrameNumber
        for item in selection.ContentSequence
        if "ReferencedSOPSequence" in item
    ]
    assert frames
    assert set(frames) <= {1, 2, 3}


def test_pictures_beyond_the_limit_get_neither_report_nor_key_images(tmp_path, context):
    ultrasound(tmp_path / "in" / "x.dcm", frames=2)
    asked = BRIGHT.model_copy(update={"outputs": ALL_KINDS, "max_results_per_study": 3})
    outcome = run_task(tmp_path / "in", tmp_path / "out", US, asked, replace(context, results=3))
    assert (outcome.status, outcome.images_found, outcome.files) == ("found", 2, ())


def test_a_picture_gets_a_segmentation_and_a_picture(tmp_path, context):
    radiograph(tmp_path / "in" / "x.dcm")
    outcome = run_task(tmp_path / "in", tmp_path / "out", CR, BRIGHT, context)
    assert sorted(kinds(outcome)) == ["OT", "SEG"]
    assert outcome.area_mm2 > 0
    assert outcome.area_px is None


def test_pictures_without_spacing_are_measured_in_pixels(tmp_path, context):
    ultrasound(tmp_path / "in" / "x.dcm")
    outcome = run_task(tmp_path / "in", tmp_path / "out", US, BRIGHT, context)
    assert outcome.area_px > 0
    assert outcome.area_mm2 is None


def test_a_loop_gets_at_most_so_many_results_each_in_its_own_series(tmp_path, context):
    ultrasound(tmp_path / "in" / "x.dcm", frames=5)
    asked = BRIGHT.model_copy(update={"max_results_per_study": 3})
    outcome = run_task(tmp_path / "in", tmp_path / "out", US, asked, replace(context, results=1))
    assert outcome.images_found == 5
    assert len(outcome.unwritten) == 3
    assert sorted(kinds(outcome)) == ["OT", "OT", "SEG", "SEG"]
    series = {pydicom.dcmread(file).SeriesInstanceUID for file in outcome.files}
    assert len(series) == 4


def test_two_targets_are_two_segments_and_an_absent_one_is_empty(tmp_path, context):
    volume(tmp_path / "in")
    targets = [
        {"segment": {"label": word, "category": ANATOMY, "type": LIVER}, "prompts": [word]}
        for word in ("bright", "absent")
    ]
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, task(targets=targets), context)
    seg = pydicom.dcmread(next(file for file in outcome.files if "-seg-" in file.name))
    assert [segment.SegmentLabel for segment in seg.SegmentSequence] == ["bright", "absent"]
    numbers = {
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        for frame in seg.PerFrameFunctionalGroupsSequence
    }
    assert numbers == {1}


def test_an_enhanced_volume_goes_the_same_way(tmp_path, context):
    enhanced(tmp_path / "in" / "x.dcm", values=phantom() // 2)
    assert run_task(tmp_path / "in", tmp_path / "out", f"{ROOT}.7", BRIGHT, context).status == "found"


def test_a_refused_series_is_an_outcome_with_its_code_and_leaves_nothing(tmp_path, context):
    volume(tmp_path / "in")[2].unlink()
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, BRIGHT, context)
    assert (outcome.status, outcome.code) == ("refused", Code.GEOMETRY_MISSING_SLICE)
    assert "slice001.dcm and slice003.dcm" in outcome.reason
    assert list((tmp_path / "out").iterdir()) == []


def test_a_refusal_is_written_when_the_task_asks_for_it(tmp_path, context):
    volume(tmp_path / "in")[2].unlink()
    asked = BRIGHT.model_copy(update={"on_failure": "sc"})
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, asked, context)
    assert outcome.status == "refused"
    assert kinds(outcome) == ["OT"]


def test_mixed_patients_are_never_written_anywhere(tmp_path, context):
    volume(tmp_path / "in", edit=lambda image, index: setattr(image, "PatientID", str(index)))
    asked = BRIGHT.model_copy(update={"on_failure": "sc"})
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, asked, context)
    assert (outcome.code, outcome.files) == (Code.PATIENT_MIXED, ())


def test_an_unknown_series_is_refused(tmp_path, context):
    volume(tmp_path / "in")
    assert (
        run_task(tmp_path / "in", tmp_path / "out", "1.9.9", BRIGHT, context).code is Code.NO_SERIES_SELECTED
    )


def test_a_wrong_prompt_leaves_the_graph_with_its_own_type(tmp_path, context):
    volume(tmp_path / "in")
    asked = task(targets=[{**task().targets[0].model_dump(), "prompts": [" "]}])
    with pytest.raises(PromptError):
        run_task(tmp_path / "in", tmp_path / "out", CT, asked, context)


def test_the_same_run_gives_the_same_bytes_in_a_warm_process_and_in_a_thread(tmp_path, context):
    volume(tmp_path / "in")
    outcomes = [run_task(tmp_path / "in", tmp_path / "1", CT, BRIGHT, context)]

    def again():
        outcomes.append(run_task(tmp_path / "in", tmp_path / "2", CT, BRIGHT, context))

    thread = threading.Thread(target=again)
    thread.start()
    thread.join()
    first, second = outcomes
    assert [file.name for file in first.files] == [file.name for file in second.files]
    for one, other in zip(first.files, second.files, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_later_generation_has_new_uids_and_says_what_it_replaces(tmp_path, context):
    volume(tmp_path / "in")
    first = run_task(tmp_path / "in", tmp_path / "1", CT, BRIGHT, context)
    later = replace(context, generation=1, replaces="11:30")
    second = run_task(tmp_path / "in", tmp_path / "2", CT, BRIGHT, later)
    assert not set(first.sop_instance_uids) & set(second.sop_instance_uids)
    for file in second.files:
        assert pydicom.dcmread(file).SeriesDescription.endswith("(replaces 11:30)")


def test_progress_is_told_after_every_slice(tmp_path, context):
    volume(tmp_path / "in")
    told = []
    run_task(
        tmp_path / "in", tmp_path / "out", CT, BRIGHT, replace(context, progress=lambda *at: told.append(at))
    )
    assert told == [(done, 6) for done in range(1, 7)]
