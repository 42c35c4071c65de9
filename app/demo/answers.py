"""What the archive got back for each question of the demonstration, judged by the objects themselves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml
from pydicom import dcmread
from pydicom.dataset import Dataset

from app.demo import overlay, placement, validate
from app.demo.service import TASKS
from app.demo.studies import DemoStudy

FOUND, NOTHING_FOUND, NO_ANSWER = "found", "nothing-found", "no answer"
ABSENT_TASK = "demo-absent"


@dataclass(frozen=True)
class Question:
    """One task on the one study whose modality it takes."""

    study: DemoStudy
    task: str
    prompt: str
    expected: str
    outputs: tuple[str, ...] = ("seg", "pm")


@dataclass(frozen=True)
class Answer:
    """What came back for a question: ``extent`` is (value, unit), ``uncertainty`` mean entropy in bits."""

    question: Question
    status: str
    extent: tuple[float, str] | None
    uncertainty: float | None
    seconds: Mapping[str, float]
    files: tuple[Path, ...]
    problems: tuple[str, ...]
    picture: Path | None = None


@dataclass(frozen=True)
class Told:
    """What the service itself says about a run: seconds per stage and the mean entropy inside the mask."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    uncertainty: float | None = None


def questions(studies: Iterable[DemoStudy]) -> list[Question]:
    """Pair the demo's tasks with its studies, in the order of the tasks."""
    by_modality = {_headers(study)[0].Modality: study for study in studies}
    return [
        Question(
            study=by_modality[task["when"]["modality"][0]],
            task=task["name"],
            prompt=task["targets"][0]["prompts"][0],
            expected=NOTHING_FOUND if task["name"] == ABSENT_TASK else FOUND,
            outputs=tuple(task.get("outputs", Question.outputs)),
        )
        for task in yaml.safe_load(TASKS.read_text(encoding="utf-8"))
    ]


def belongs(path: Path, question: Question) -> bool:
    """Return whether a received object answers a question."""
    image = dcmread(path, stop_before_pixels=True)
    return (
        image.StudyInstanceUID == question.study.study_instance_uid and validate.task(image) == question.task
    )


def judge(question: Question, received: Sequence[Path], told: Told) -> Answer:
    """Judge the objects that came back for a question.

    Parameters
    ----------
    question
        What was asked.
    received
        Every object that the archive holds for it.
    told
        What the service says about it.
    """
    sources = _headers(question.study)
    objects = {validate.kind(image): image for image in (dcmread(path) for path in received)}
    problems = [problem for path in received for problem in validate.problems(path, sources)]
    status = FOUND if "SEG" in objects else NOTHING_FOUND if objects else NO_ANSWER
    expected = _expected_kinds(status, sources[0], question.outputs)
    if set(objects) != expected or len(received) != len(objects):
        came = ", ".join(sorted(validate.kind(dcmread(path, stop_before_pixels=True)) for path in received))
        problems.append(f"came back: {came or 'nothing'}; expected: {', '.join(sorted(expected))}")
    if status != question.expected:
        problems.append(f"expected {question.expected}, got {status}")
    extent = placement.extent(objects["SEG"], sources) if status == FOUND else None
    uncertainty = told.uncertainty if status == FOUND else None
    if status == FOUND and "PM" in objects:
        uncertainty = placement.mean_inside(objects["PM"], objects["SEG"], sources)
    named = tuple(f"{question.task}: {problem}" for problem in problems)
    return Answer(question, status, extent, uncertainty, told.seconds, tuple(received), named)


def _expected_kinds(status: str, source: Dataset, outputs: Sequence[str]) -> set[str]:
    """Return what has to come back: a Parametric Map needs a Frame of Reference, a picture does not."""
    if status != FOUND:
        return {"SR"}
    report = {"SR"} if "sr" in outputs else set()
    return {"SEG", "PM" if "FrameOfReferenceUID" in source else "SC"} | report


def draw(answer: Answer, path: Path) -> None:
    """Draw a result on the image that shows most of it, or the image under the words "nothing found"."""
    sources = [dcmread(file) for file in answer.question.study.files]
    objects = {validate.kind(image): image for image in (dcmread(file) for file in answer.files)}
    panels = _panels(objects, sources)
    title = f"“{answer.question.prompt}”: {answer.status.replace('-', ' ')}"
    overlay.save(panels, title, f"{answer.question.study.title} ({answer.question.study.source})", path)


def _panels(objects: Mapping[str, Dataset], sources: Sequence[Dataset]) -> list[overlay.Panel]:
    if "SEG" not in objects:
        return [overlay.Panel(overlay.fit(overlay.greyscale(sources[len(sources) // 2])), "image")]
    source = sources[placement.largest(objects["SEG"], sources)]
    mask = placement.on_source(objects["SEG"], source) > 0.5
    image = overlay.greyscale(source)
    if "PM" in objects:
        return overlay.segmented(image, mask, placement.on_source(objects["PM"], source))
    sure = np.zeros(mask.shape, dtype=np.float32)
    panels = overlay.segmented(image, mask, sure)[:2]
    return panels if "SC" not in objects else [*panels, _uncertain_half(objects["SC"])]


def _uncertain_half(capture: Dataset) -> overlay.Panel:
    """Return the right half of a Secondary Capture of a result, which shows where the members disagree."""
    pixels = overlay.greyscale(capture)
    half = overlay.fit(pixels[:, pixels.shape[1] // 2 :])
    return overlay.Panel(half, "uncertainty, from the Secondary Capture")


def _headers(study: DemoStudy) -> list[Dataset]:
    return [dcmread(path, stop_before_pixels=True) for path in study.files]
