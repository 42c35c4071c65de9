"""Rules, the gate and the stated order decide which series a task takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import Code, PromptError
from models.prompts import PROMPT_MAX_CHARACTERS
from operators.selection import Decision, plan, plan_study
from operators.study import read_folder
from operators.task import prompt_task
from tests.operators.results import task
from tests.operators.synthetic import ROOT, phantom, radiograph, ultrasound, volume


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
    ],
)
def test_the_first_condition_that_does_not_hold_is_named(tmp_path, when, word):
    volume(tmp_path)
    (run,) = plan_study(tmp_path, [task(when=when)])
    assert (run.decision, run.code) == (Decision.LEFT_OUT, Code.NO_SERIES_SELECTED)
    assert word in run.reason


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
