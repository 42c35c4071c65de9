"""What an archive gains from a study of many series or pictures: what the contract allows, and no more."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    MRImageStorage,
    ParametricMapStorage,
    SegmentationStorage,
    generate_uid,
)

from app.application import RunContext, run_task
from app.status import listing
from app.study.states import State
from app.study.steps import Outcome, Request
from models.method import Method
from tests.app.peers import send, ultrasound
from tests.app.study.test_service import Service, service
from tests.app.tasks import TASK
from tests.app.toy_bundle import toy_bundle

pytestmark = pytest.mark.slow

LIMIT = 8
"""max_results_per_study, where a task says nothing."""


def toy_graph(request: Request) -> Outcome:
    """Run the real graph with models that find what is bright."""
    context = RunContext(
        Method(toy_bundle()),
        request.quiet_at,
        "0.1.0",
        request.generation,
        request.replaces,
        request.results,
        request.answered,
    )
    return run_task(request.input_folder, request.output_folder, request.series, request.task, context)


def asking(**changes: Any) -> dict[str, Any]:
    """Return a task that asks for what is bright."""
    return {**TASK, "targets": [{**TASK["targets"][0], "prompts": ["bright"]}], **changes}


def still(study: str, series: str, number: int, bright: bool) -> Dataset:
    pixels = np.full((64, 64), 20, np.uint8)
    if bright:
        pixels[20:40, 16 : 30 + number % 10] = 230
    pixels[0, 0] = number
    return ultrasound(study, series, InstanceNumber=number, PixelData=pixels.tobytes())


def stack(study: str, slices: int, sop_class: str = CTImageStorage, **elements: Any) -> list[Dataset]:
    """Return a series of slices that hold a bright block."""
    series, frame = generate_uid(), generate_uid()
    pixels = np.full((64, 64), -900, np.int16)
    pixels[20:44, 16:48] = 100
    modality = "CT" if sop_class == CTImageStorage else "MR"
    return [
        ultrasound(
            study,
            series,
            **{
                "SOPClassUID": sop_class,
                "Modality": modality,
                "InstanceNumber": number + 1,
                "FrameOfReferenceUID": frame,
                "ImagePositionPatient": [0, 0, 3.0 * number],
                "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
                "PixelSpacing": [1, 1],
                "SliceThickness": 3,
                "RescaleSlope": 1,
                "RescaleIntercept": 0,
                "BitsAllocated": 16,
                "BitsStored": 16,
                "HighBit": 15,
                "PixelRepresentation": 1,
                "PixelData": pixels.tobytes(),
                **elements,
            },
        )
        for number in range(slices)
    ]


def gained(running: Service, study: str) -> Counter[str]:
    """Return the kinds of object in the archive once the study is done: each once, in its own series."""
    running.wait(study, State.DONE, seconds=300)
    received = running.archive.received
    assert len(received) == len(running.archive.instances())
    assert len({item.SeriesInstanceUID for item in received}) == len(received)
    for item in received:
        assert item.StudyInstanceUID == study
        assert item.SeriesDescription.startswith("AI ")
        assert item.SeriesDescription.endswith("NOT FOR DIAGNOSTIC USE")
    return Counter(kind_of(item) for item in received)


def kind_of(item: Dataset) -> str:
    return {SegmentationStorage: "SEG", ParametricMapStorage: "PM"}.get(item.SOPClassUID, "SC")


def says_nothing(item: Dataset) -> bool:
    """Whether an object, a report or a picture, says that nothing was found."""
    return "nothing found" in item.to_json().lower()


def listed(running: Service, study: str) -> list[dict[str, Any]]:
    (generation,) = running.generations(study)
    return [dict(run.details) for run in running.steps.results.runs(generation)]


PATIENT = {"quiet": "3 s", "at_most": "120 s"}
"""Sending takes a while on a busy machine, and the study must arrive as one generation."""


def forty_stills(study: str, series: int, bright: Callable[[int], bool]) -> list[Dataset]:
    uids = [generate_uid() for _ in range(series)]
    return [still(study, uids[number % series], number + 1, bright(number)) for number in range(40)]


@pytest.mark.parametrize("series", [1, 40], ids=["one series", "a series for each"])
def test_of_40_stills_eight_findings_get_results_and_the_rest_is_listed(tmp_path: Path, series: int) -> None:
    study = generate_uid()
    with service(tmp_path, toy_graph, tasks=[asking()], study=PATIENT) as running:
        send(running.config, *forty_stills(study, series, lambda number: number % 2 == 0))
        kinds = gained(running, study)
        notes = [item for item in running.archive.received if says_nothing(item)]
        assert kinds == Counter({"SEG": LIMIT, "SC": LIMIT + len(notes)})
        assert len(notes) <= (series > 1)  # where the first series asked has nothing
        details = listed(running, study)
        assert sum(detail["images_found"] for detail in details) == 20
        assert sum(len(detail["unwritten"]) for detail in details) == 20 - LIMIT


@pytest.mark.parametrize("series", [1, 40], ids=["one series", "a series for each"])
def test_40_stills_without_a_finding_get_one_note(tmp_path: Path, series: int) -> None:
    study = generate_uid()
    with service(tmp_path, toy_graph, tasks=[asking()], study=PATIENT) as running:
        send(running.config, *forty_stills(study, series, lambda number: False))
        assert gained(running, study) == {"SC": 1}
        (note,) = running.archive.received
        assert says_nothing(note)


def test_each_phase_of_a_series_is_answered_and_told_apart_in_the_study_list(tmp_path: Path) -> None:
    study, series = generate_uid(), generate_uid()
    images = [
        image
        for number in (1, 2)
        for image in stack(study, 4, SeriesInstanceUID=series, AcquisitionNumber=number)
    ]
    tasks = [asking(when={"modality": ["CT"]}, all=False)]
    with service(tmp_path, toy_graph, tasks=tasks, study=PATIENT) as running:
        send(running.config, *images)
        assert gained(running, study) == {"SEG": 2, "PM": 2}
        (row,) = listing(running.config)
        runs: Any = row["runs"]
        assert [run["series_instance_uid"] for run in runs] == [series] * 2
        assert [run["phase"] for run in runs] == ["AcquisitionNumber=1", "AcquisitionNumber=2"]


def test_of_twelve_series_each_task_answers_what_its_rule_takes(tmp_path: Path) -> None:
    study, chosen = generate_uid(), {"CT": generate_uid(), "MR": generate_uid()}
    gap = stack(study, 9)
    images = [
        *stack(study, 5),
        *stack(study, 8, SeriesInstanceUID=chosen["CT"]),
        *stack(study, 6),
        *gap[:4],
        *gap[5:],
        *stack(study, 1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        *stack(study, 4, MRImageStorage),
        *stack(study, 7, MRImageStorage, SeriesInstanceUID=chosen["MR"]),
        *stack(study, 3, MRImageStorage),
        still(study, generate_uid(), 1, bright=True),
        still(study, generate_uid(), 2, bright=True),
        still(study, generate_uid(), 3, bright=False),
        *described(still(study, generate_uid(), 4, bright=True), "AI other - NOT FOR DIAGNOSTIC USE"),
    ]
    assert len({image.SeriesInstanceUID for image in images}) == 12
    tasks = [
        asking(name="liver", when={"modality": ["CT"]}, all=False),
        asking(name="brain", when={"modality": ["MR"]}, all=False),
        asking(name="mass"),
    ]
    with service(tmp_path, toy_graph, tasks=tasks, study=PATIENT) as running:
        send(running.config, *images)
        kinds = gained(running, study)
        assert kinds["SEG"] == 4
        assert kinds["PM"] == 2
        assert kinds["SC"] in {2, 3}
        sources = {
            item.ReferencedSeriesSequence[0].SeriesInstanceUID
            for item in running.archive.received
            if kind_of(item) == "PM"
        }
        assert sources == set(chosen.values())


def described(image: Dataset, text: str) -> list[Dataset]:
    image.SeriesDescription = text
    return [image]
