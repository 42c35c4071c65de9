"""Rules, the gate and the stated order decide which series a task takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import Code, PromptError
from models.prompts import PROMPT_MAX_CHARACTERS
from operators.selection import Decision, plan, plan_study
from operators.study import read_folder
from operators.task import prompt_task
from tests.operators.results import task
from tests.operators.synthetic import ROOT, enhanced, phantom, radiograph, ultrasound, volume


def decisions(folder, asked):
    return {
        run.series.text("SeriesDescription") or run.series_instance_uid: run
        for run in plan_study(folder, [asked])
    }


def described(text, number=4):
    def edit(image, index):
        image.SeriesDescription, image.SeriesNumber = text, number

    return edit


def test_the_longest_series_that_passes_the_gate_is_taken_and_the_others_say_why(tmp_path):
    volume(tmp_path / "a", phantom(8), series=f"{ROOT}.21", edit=described("thin"))
    volume(tmp_path / "b", phantom(6), series=f"{ROOT}.22", edit=described("thick"))
    broken = volume(tmp_path / "c", phantom(12), series=f"{ROOT}.23", edit=described("broken"))
    broken[5].unlink()
    runs = decisions(tmp_path, task())
    assert runs["thin"].decision is Decision.RUN
    assert runs["thick"].decision is Decision.LEFT_OUT
    assert f"{ROOT}.21" in runs["thick"].reason
    assert (runs["broken"].decision, runs["broken"].code) == (Decision.LEFT_OUT, Code.GEOMETRY_MISSING_SLICE)


def test_a_broken_series_is_refused_when_there_is_no_other(tmp_path):
    volume(tmp_path)[2].unlink()
    (run,) = plan_study(tmp_path, [task()])
    assert (run.decision, run.code) == (Decision.REFUSED, Code.GEOMETRY_MISSING_SLICE)


def test_equal_series_are_decided_by_their_number_and_not_by_chance(tmp_path):
    volume(tmp_path / "a", series=f"{ROOT}.21", edit=described("later", 9))
    volume(tmp_path / "b", series=f"{ROOT}.22", edit=described("earlier", 3))
    assert decisions(tmp_path, task())["earlier"].decision is Decision.RUN


def test_all_takes_every_series_that_passes(tmp_path):
    volume(tmp_path / "a", series=f"{ROOT}.21", edit=described("one"))
    volume(tmp_path / "b", series=f"{ROOT}.22", edit=described("two"))
    runs = decisions(tmp_path, task(all=True))
    assert [run.decision for run in runs.values()] == [Decision.RUN, Decision.RUN]


def test_one_series_is_taken_per_study_not_per_folder(tmp_path):
    volume(tmp_path / "a", series=f"{ROOT}.21")

    def other_study(image, index):
        image.StudyInstanceUID, image.PatientID = f"{ROOT}.88", "OTHER"

    volume(tmp_path / "b", series=f"{ROOT}.22", edit=other_study)
    assert [run.decision for run in plan_study(tmp_path, [task()])] == [Decision.RUN, Decision.RUN]


@pytest.mark.parametrize(
    ("when", "word"),
    [
        ({"modality": ("MR", "CR")}, "Modality CT"),
        ({"body_part_examined": "breast"}, "BodyPartExamined"),
        ({"series_description": "^axial"}, "SeriesDescription"),
        ({"not_series_description": "SERIES"}, "keeps out"),
        ({"study_description": "trauma"}, "StudyDescription"),
        ({"protocol_name": "liver"}, "ProtocolName"),
        ({"images": {"min": 7}}, "6 images"),
        ({"images": {"max": 5}}, "6 images"),
        ({"tags": {"ConvolutionKernel": "^B7"}}, "ConvolutionKernel does not match '^B7'."),
        ({"tags": {"SliceThickness": {"max": 2}}}, "SliceThickness is not at most 2."),
        ({"tags": {"SliceThickness": {"min": 3, "max": 5}}}, "SliceThickness is not between 3 and 5."),
        ({"tags": {"EchoTime": {}}}, "EchoTime is not a number."),
        (
            {"not_tags": {"StudyDescription": "test"}},
            "StudyDescription matches 'test', which the rule keeps out",
        ),
        (
            {"not_tags": {"SliceThickness": {"min": 2}}},
            "SliceThickness is at least 2, which the rule keeps out",
        ),
        ({"orientation": "coronal"}, "90 degrees from coronal; 30 are allowed"),
        ({"orientation": "sagittal"}, "90 degrees from sagittal"),
    ],
)
def test_a_condition_that_does_not_hold_is_named(tmp_path, when, word):
    volume(tmp_path)
    (run,) = plan_study(tmp_path, [task(when=when)])
    assert (run.decision, run.code) == (Decision.LEFT_OUT, Code.NO_SERIES_SELECTED)
    assert word in run.reason


def test_every_condition_that_does_not_hold_is_named(tmp_path):
    volume(tmp_path)
    when = {
        "modality": ["MR"],
        "images": {"min": 90},
        "orientation": "coronal",
        "tags": {"EchoTime": {"min": 1}},
    }
    (run,) = plan_study(tmp_path, [task(when=when)])
    for word in ("Modality", "6 images", "coronal", "EchoTime"):
        assert word in run.reason


@pytest.mark.parametrize(
    "when",
    [
        {"tags": {"SliceThickness": {"min": 2.5, "max": 2.5}, "PatientSex": "^M$"}},
        {"tags": {"ImageType": r"primary\\axial"}, "not_tags": {"ImageType": "LOCALIZER"}},
        {"not_tags": {"ContrastBolusAgent": ".", "EchoTime": {"min": 0}}},
        {"orientation": "axial", "orientation_tolerance": 0.1},
    ],
    ids=str,
)
def test_tags_and_orientation_take_what_they_describe(tmp_path, when):
    volume(tmp_path, edit=lambda image, _: setattr(image, "ImageType", ["ORIGINAL", "PRIMARY", "AXIAL"]))
    assert plan_study(tmp_path, [task(when=when)])[0].decision is Decision.RUN


LAYOUTS = {
    "axial": ((1, 0, 0), (0, 1, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
}


@pytest.mark.parametrize("degrees", [0, 10, 29])
@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("wanted", LAYOUTS)
def test_orientation_is_told_by_the_cosines_within_its_tolerance(tmp_path, wanted, flipped, degrees):
    row, column = (np.array(axis, float) for axis in LAYOUTS[wanted])
    normal = np.cross(row, column)
    tilt = np.radians(degrees)
    column = np.cos(tilt) * column + np.sin(tilt) * normal
    volume(tmp_path, row=-row if flipped else row, column=column)
    taken = {
        name: plan_study(tmp_path, [task(when={"orientation": name})])[0].decision is Decision.RUN
        for name in LAYOUTS
    }
    assert taken == {name: name == wanted for name in LAYOUTS}


def test_pictures_have_no_orientation_to_match(tmp_path):
    radiograph(tmp_path / "x.dcm")
    (run,) = plan_study(tmp_path, [task(when={"orientation": "axial"})])
    assert "Without ImageOrientationPatient" in run.reason


def test_a_localizer_in_a_series_does_not_hide_its_orientation(tmp_path):
    """The series is axial, so it is refused for its localizer instead of being left out."""
    volume(tmp_path)
    scout = volume(tmp_path / "scout", row=(0.0, 1.0, 0.0), column=(0.0, 0.0, -1.0), edit=renamed)
    for path in scout[1:]:
        path.unlink()
    (run,) = plan_study(tmp_path, [task(when={"orientation": "axial"})])
    assert (run.decision, run.code) == (Decision.REFUSED, Code.GEOMETRY_MIXED_ORIENTATION)


def renamed(image, index):
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.77.{index}"


def test_an_element_of_an_enhanced_image_is_found_in_its_functional_groups(tmp_path):
    enhanced(tmp_path / "x.dcm")
    rule = {"tags": {"SliceThickness": {"min": 2, "max": 3}, "RescaleType": "HU"}, "orientation": "axial"}
    assert plan_study(tmp_path, [task(when=rule)])[0].decision is Decision.RUN


@pytest.mark.parametrize(
    ("best", "taken"),
    [
        (["most-images"], "many"),
        (["fewest-images"], "few"),
        (["thinnest-slices"], "thin"),
        (["largest-matrix"], "large"),
        (["lowest-series-number"], "few"),
        (["highest-series-number"], "large"),
        (["thinnest-slices", "most-images"], "thin"),
    ],
)
def test_the_best_series_is_the_first_in_the_order_that_the_rule_states(tmp_path, best, taken):
    shapes = {"few": (4, 40, 2.5), "many": (9, 40, 2.5), "thin": (5, 40, 1.0), "large": (6, 60, 2.5)}
    for number, (name, (slices, rows, thickness)) in enumerate(shapes.items(), start=1):
        volume(
            tmp_path / name,
            phantom(slices, rows),
            series=f"{ROOT}.3{number}",
            spacing=(thickness, 0.8, 1.2),
            edit=described(name, number),
        )
    runs = decisions(tmp_path, task(when={"best": best}))
    assert {name for name, run in runs.items() if run.decision is Decision.RUN} == {taken}
    others = [run.reason for name, run in runs.items() if name != taken]
    assert all(", ".join(one.replace("-", " ") for one in best) in reason for reason in others)


def test_conditions_ignore_case_and_must_all_hold(tmp_path):
    volume(tmp_path)
    when = {"modality": ("ct",), "series_description": "CT SER", "images": {"min": 6, "max": 6}}
    assert plan_study(tmp_path, [task(when=when)])[0].decision is Decision.RUN


def test_own_results_are_left_out_even_when_the_rule_matches(tmp_path):
    ultrasound(tmp_path / "x.dcm")
    radiograph(tmp_path / "own.dcm", edit=described("AI lungs SC - NOT FOR DIAGNOSTIC USE"))
    codes = {run.series.modality: run.code for run in plan(read_folder(tmp_path), [task(all=True)])}
    assert codes == {"US": None, "CR": Code.OWN_RESULT}


@given(st.text(min_size=1, max_size=PROMPT_MAX_CHARACTERS))
def test_any_words_make_a_task_with_a_private_code(words):
    if not words.split():
        with pytest.raises(PromptError):
            prompt_task(words)
        return
    made = prompt_task(words)
    segment = made.targets[0].segment
    assert made.all
    assert made.targets[0].prompts == (words,)
    assert {segment.category.scheme, segment.type.scheme} == {"99TEXTSEG"}


@pytest.mark.parametrize(("words", "code"), [("", Code.PROMPT_EMPTY), ("x" * 10_000, Code.PROMPT_TOO_LONG)])
def test_an_empty_and_an_endless_prompt_are_refused(words, code):
    with pytest.raises(PromptError) as caught:
        prompt_task(words)
    assert caught.value.code is code
