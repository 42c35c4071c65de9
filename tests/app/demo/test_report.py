"""What the demonstration tells people and programs."""

import json

from rich.console import Console

from app.demo import report
from app.demo.answers import FOUND, NOTHING_FOUND, Answer, Question
from app.demo.story import Story
from app.demo.studies import DemoStudy

STUDY = DemoStudy("Chest radiograph", "a package", "1.2.3", ())
SECONDS = {"load": 0.01, "sam": 15.9}
LUNGS = Answer(Question(STUDY, "demo-lungs", "the lungs", FOUND), FOUND, (36.2, "cm²"), 0.05, SECONDS, (), ())
ABSENT = Answer(
    Question(STUDY, "demo-absent", "a mass", NOTHING_FOUND), NOTHING_FOUND, None, None, {}, (), ("not valid",)
)


def shown(width: int) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(report.table([LUNGS, ABSENT]))
    return capture.get()


def test_the_table_has_what_a_person_asks_for():
    text = shown(120)

    for word in (
        "Chest radiograph",
        "the lungs",
        "found",
        "36.2 cm²",
        "0.050 bit",
        "sam",
        "15.9",
        "nothing found",
    ):
        assert word in text


def test_the_table_keeps_its_numbers_on_a_narrow_terminal():
    text = shown(80)

    assert "36.2 cm²" in text
    assert "15.9" in text


def test_the_report_is_valid_only_when_every_answer_is(tmp_path):
    report.write([LUNGS], 12.34, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["valid"] is True

    report.write([LUNGS, ABSENT], 12.34, tmp_path)
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["valid"] is False
    assert [answer["status"] for answer in content["answers"]] == [FOUND, NOTHING_FOUND]
    assert content["answers"][1]["problems"] == ["not valid"]


def row(state: str, **more) -> dict:
    return {"study_instance_uid": "1.2.3", "state": state, "code": None, "reason": "", "runs": [], **more}


def test_a_study_is_finished_when_its_last_generation_is():
    assert not Story([]).finished("1.2.3")
    assert not Story([row("delivering")]).finished("1.2.3")
    assert not Story([row("done"), row("receiving")]).finished("1.2.3")
    assert Story([row("superseded"), row("done")]).finished("1.2.3")


def test_progress_counts_the_questions_answered():
    runs = [{"state": "found"}, {"state": "planned"}]

    assert Story([row("running", runs=runs)]).state("1.2.3") == "running, 1 of 2 questions answered"
    assert Story([]).state("1.2.3") == "sent"


def test_what_went_wrong_is_told_with_its_code():
    refused = {"state": "refused", "code": "GEOMETRY-TILT", "reason": "tilted"}
    story = Story([row("failed", code="INTERNAL", reason="broken", runs=[refused])])

    assert story.reasons("1.2.3") == ["INTERNAL: broken", "GEOMETRY-TILT: tilted"]


def test_seconds_and_uncertainty_come_from_the_run_of_the_task():
    other = {"task": "other", "state": "found", "seconds": {"sam": 9.0}, "uncertainty": 0.9}
    runs = [other, {**other, "task": "demo-lungs", "seconds": {"sam": 2.0}, "uncertainty": 0.1}]
    story = Story([row("done", runs=runs)])

    assert story.told("1.2.3", "demo-lungs").seconds == {"sam": 2.0}
    assert story.told("1.2.3", "demo-lungs").uncertainty == 0.1
    assert story.told("1.2.3", "demo-none").uncertainty is None
