"""The graph: one task on one series, again and again in one process, with refusals as outcomes."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pydicom
import pytest

from app.application import NOTHING, RunContext, run_task
from models.errors import Code, ModelError, PromptError
from models.method import Method
from operators.findings import LAST_FIRST
from operators.identifiers import is_own_uid
from operators.task import prompt_task
from tests.app.toy_bundle import toy_bundle
from tests.models.ensemble.folder import ensemble
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


@pytest.fixture
def with_ensemble(context, tmp_path):
    bundle = replace(context.method.bundle, ensembles=(ensemble(tmp_path / "ensemble"),))
    return replace(context, method=Method(bundle))


def test_the_checkpoints_of_an_ensemble_vote_on_the_prompt_that_they_were_trained_for(
    tmp_path, with_ensemble
):
    volume(tmp_path / "in")
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, BRIGHT, with_ensemble)
    assert outcome.status in ("found", "nothing-found")
    objects = [pydicom.dcmread(file) for file in outcome.files]
    assert all("3 checkpoints of ensemble brights 1.0.0" in one.to_json() for one in objects)


def test_off_and_other_prompts_take_the_methods_own_way_and_the_object_says_so(
    tmp_path, with_ensemble, context
):
    volume(tmp_path / "in")
    off = BRIGHT.model_copy(update={"ensemble": False})
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, off, with_ensemble)
    plain = run_task(tmp_path / "in", tmp_path / "plain", CT, off, context)
    assert outcome.images_found == plain.images_found > 0
    assert all("4 paths of the method" in pydicom.dcmread(file).to_json() for file in outcome.files)


def test_an_ensemble_invents_nothing_where_the_prompt_is_absent(tmp_path, with_ensemble):
    volume(tmp_path / "in")
    outcome = run_task(
        tmp_path / "in", tmp_path / "out", CT, prompt_task("sitting on a chair"), with_ensemble
    )
    assert (outcome.status, outcome.code) == ("nothing-found", Code.TARGET_ABSENT)


def test_an_ensemble_that_lost_a_member_fails_and_does_not_vote_with_the_rest(tmp_path, with_ensemble):
    volume(tmp_path / "in")
    with_ensemble.method.bundle.ensembles[0].members[0].path.unlink()
    with pytest.raises(ModelError) as error:
        run_task(tmp_path / "in", tmp_path / "out", CT, BRIGHT, with_ensemble)
    assert error.value.code is Code.MODEL_MISSING
    assert not list((tmp_path / "out").glob("*.dcm"))


def test_slices_without_the_target_stay_empty(tmp_path, context):
    values = phantom()
    values[3:] = -900
    volume(tmp_path / "in", values)
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, BRIGHT, context)
    assert outcome.images_found == 2


def test_nothing_found_leaves_one_small_note_and_no_segmentation(tmp_path, context):
    volume(tmp_path / "in")
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, prompt_task("sitting on a chair"), context)
    assert (outcome.status, outcome.code) == ("nothing-found", Code.TARGET_ABSENT)
    assert kinds(outcome) == ["OT"]
    note = pydicom.dcmread(outcome.files[0])
    assert note.SOPClassUID == pydicom.uid.SecondaryCaptureImageStorage
    assert "sitting on a chair" in note.ImageComments


def test_every_code_of_a_stack_without_a_finding_is_explained_to_people():
    assert set(NOTHING) == {Code.TARGET_ABSENT, *LAST_FIRST}


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
