"""The whole way of a study inside one process: C-STORE in, quiet, plan, graph, outbox, C-STORE back."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOS
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage, generate_uid

from app.config import Config
from app.listener.node import Node
from app.status import retry
from app.study import workflow
from app.study.generations import Generation
from app.study.states import State
from app.study.steps import Graph, Request, Steps
from models.errors import Code, InputError
from tests.app.graphs import FakeGraph, FakeOutcome
from tests.app.peers import Archive, archive, config_in, free_port, send, ultrasound, wait_for
from tests.app.tasks import TASK


@dataclass
class Service:
    """A running service and its archive."""

    config: Config
    steps: Steps
    archive: Archive

    def generations(self, study: str) -> tuple[Generation, ...]:
        return self.steps.generations.generations(study)

    def wait(self, study: str, state: State, number: int = 0, seconds: float = 30) -> Generation:
        def reached() -> bool:
            found = self.generations(study)
            return len(found) > number and found[number].state is state

        try:
            wait_for(reached, seconds)
        except AssertionError:
            pytest.fail(f"not {state}: {self.generations(study)}")
        return self.generations(study)[number]


@contextlib.contextmanager
def service(folder: Path, graph: Graph, **sections: Any) -> Iterator[Service]:
    with archive() as peer:
        aes = {"PACS": {"title": "PACS", "host": "127.0.0.1", "port": peer.port}}
        config = config_in(folder, **{"aes": aes, "tasks": [TASK], **sections})
        with running(config, graph) as steps:
            yield Service(config, steps, peer)


@contextlib.contextmanager
def running(config: Config, graph: Graph) -> Iterator[Steps]:
    steps = Steps(config, graph)
    node = Node(config)
    node.start()
    workflow.launch(config, steps)
    try:
        yield steps
    finally:
        node.stop()
        DBOS.destroy(destroy_registry=True)


def test_study_comes_back_as_one_seg_and_one_pm(tmp_path: Path) -> None:
    graph = FakeGraph()
    with service(tmp_path, graph) as running_service:
        image = ultrasound()
        assert send(running_service.config, image) == [0x0000]
        done = running_service.wait(image.StudyInstanceUID, State.DONE)
        received = running_service.archive.received
        assert sorted(item.Modality for item in received) == ["PMAP", "SEG"]
        assert {item.ContentTime for item in received} == {done.quiet_at.strftime("%H%M%S.%f")}
        outbox = sorted(running_service.config.storage.outbox.rglob("*.dcm"))
        assert {path.stem for path in outbox} == set(running_service.archive.instances())


def test_result_that_comes_back_to_us_starts_nothing(tmp_path: Path) -> None:
    graph = FakeGraph()
    with service(tmp_path, graph) as running_service:
        image = ultrasound()
        send(running_service.config, image)
        running_service.wait(image.StudyInstanceUID, State.DONE)
        result = running_service.archive.received[0]
        echo = ultrasound(
            image.StudyInstanceUID, result.SeriesInstanceUID, result.SOPInstanceUID, SeriesDescription="AI x"
        )
        assert send(running_service.config, echo) == [0x0000]
        again = ultrasound()
        send(running_service.config, again)
        running_service.wait(again.StudyInstanceUID, State.DONE)
        assert len(running_service.generations(image.StudyInstanceUID)) == 1
        assert len(graph.calls) == 2


def test_late_series_starts_a_new_generation_that_leaves_answered_series_alone(tmp_path: Path) -> None:
    graph = FakeGraph()
    with service(tmp_path, graph) as running_service:
        first = ultrasound()
        send(running_service.config, first)
        study = first.StudyInstanceUID
        running_service.wait(study, State.DONE)
        send(running_service.config, ultrasound(study))
        running_service.wait(study, State.DONE, 1)
        assert len(graph.calls) == 2
        assert len(running_service.archive.instances()) == 4


def test_late_instance_of_a_series_replaces_its_result_under_new_uids(tmp_path: Path) -> None:
    graph = FakeGraph()
    with service(tmp_path, graph) as running_service:
        first = ultrasound()
        send(running_service.config, first)
        study = first.StudyInstanceUID
        earlier = running_service.wait(study, State.DONE)
        send(running_service.config, ultrasound(study, first.SeriesInstanceUID, InstanceNumber=2))
        running_service.wait(study, State.DONE, 1)
        calls = [(call.generation, call.replaces) for call in graph.calls]
        assert calls == [(0, None), (1, earlier.quiet_at.strftime("%H:%M"))]
        assert len(running_service.archive.instances()) == 4


def test_repeated_instances_start_nothing(tmp_path: Path) -> None:
    graph = FakeGraph()
    with service(tmp_path, graph) as running_service:
        image = ultrasound()
        send(running_service.config, image)
        running_service.wait(image.StudyInstanceUID, State.DONE)
        send(running_service.config, image)
        other = ultrasound()
        send(running_service.config, other)
        running_service.wait(other.StudyInstanceUID, State.DONE)
        assert len(running_service.generations(image.StudyInstanceUID)) == 1


def test_images_that_keep_coming_are_processed_at_most_at_most_after_the_first(tmp_path: Path) -> None:
    graph = FakeGraph()
    with service(tmp_path, graph, study={"quiet": "2 s", "at_most": "4 s"}) as running_service:
        first = ultrasound()
        study, began = first.StudyInstanceUID, datetime.now().astimezone()
        send(running_service.config, first)
        while not running_service.generations(study):
            assert datetime.now().astimezone() - began < timedelta(seconds=15)
            send(running_service.config, ultrasound(study, first.SeriesInstanceUID))
        assert timedelta(seconds=3) < running_service.generations(study)[0].quiet_at - began


def test_mixed_patients_are_refused_and_never_merged(tmp_path: Path) -> None:
    graph = FakeGraph()
    differences = [{"PatientID": "OTHER"}, {"PatientBirthDate": "20000101"}, {"IssuerOfPatientID": "B"}]
    differences += [{"PatientID": ""}, {"StudyDate": "20250101"}]
    with service(tmp_path, graph) as running_service:
        studies = []
        for elements in differences:
            first = ultrasound(IssuerOfPatientID="A")
            other = ultrasound(first.StudyInstanceUID, **{"IssuerOfPatientID": "A", **elements})
            assert send(running_service.config, first, other) == [0x0000, 0x0000]
            studies.append(first.StudyInstanceUID)
        for study in studies:
            refused = running_service.wait(study, State.REFUSED)
            assert refused.code is Code.PATIENT_MIXED
            assert "OTHER" not in refused.reason
        assert graph.calls == []
        assert running_service.archive.received == []


def test_old_study_is_listed_and_processed_only_when_asked_for(tmp_path: Path) -> None:
    graph = FakeGraph()
    with service(tmp_path, graph) as running_service:
        image = ultrasound(StudyDate="20200101")
        send(running_service.config, image)
        old = running_service.wait(image.StudyInstanceUID, State.TOO_OLD)
        assert old.code is Code.STUDY_TOO_OLD
        assert graph.calls == []
        retry(running_service.config, image.StudyInstanceUID)
        running_service.wait(image.StudyInstanceUID, State.DONE)
        assert len(running_service.archive.instances()) == 2


UNUSABLE: tuple[tuple[dict[str, Any], Code], ...] = (
    ({"PixelData": None}, Code.PIXELS_MISSING),
    ({"PixelData": bytes(64)}, Code.FILE_TRUNCATED),
    ({"Rows": None}, Code.TAG_MISSING),
    ({"Rows": 65535, "Columns": 65535}, Code.PIXELS_TOO_LARGE),
    ({"Modality": "XA"}, Code.NO_SERIES_SELECTED),
)


def test_unusable_images_are_kept_and_refused_with_their_code(tmp_path: Path) -> None:
    graph = FakeGraph()
    with service(tmp_path, graph) as running_service:
        images = [ultrasound(**elements) for elements, _ in UNUSABLE]
        assert send(running_service.config, *images) == [0x0000] * len(images)
        for image, (_, code) in zip(images, UNUSABLE, strict=True):
            refused = running_service.wait(image.StudyInstanceUID, State.REFUSED)
            assert refused.code is code
            assert refused.reason
            folder = running_service.config.storage.inbox / image.StudyInstanceUID
            assert (folder / f"{image.SOPInstanceUID}.dcm").is_file()
        assert graph.calls == []


def mr_slice(study: str, series: str, position: float, **elements: Any) -> Dataset:
    return ultrasound(
        study,
        series,
        SOPClassUID=MRImageStorage,
        Modality="MR",
        FrameOfReferenceUID="1.2.3",
        ImagePositionPatient=[0, 0, position],
        PixelSpacing=[1, 1],
        **{"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], **elements},
    )


def test_volumes_that_are_none_are_refused_with_their_code(tmp_path: Path) -> None:
    graph = FakeGraph()
    task = {**TASK, "when": {"modality": ["MR"]}}
    with service(tmp_path, graph, tasks=[task]) as running_service:
        gap, localizer = "1.2.826.0.1.11", "1.2.826.0.1.12"
        images = [mr_slice(gap, f"{gap}.1", position) for position in (0, 2, 4, 8, 10, 12)]
        images += [mr_slice(localizer, f"{localizer}.1", position) for position in (0, 2, 4, 6)]
        sagittal = [0, 1, 0, 0, 0, -1]
        images += [mr_slice(localizer, f"{localizer}.1", 3, ImageOrientationPatient=sagittal)]
        assert set(send(running_service.config, *images)) == {0x0000}
        assert running_service.wait(gap, State.REFUSED).code is Code.GEOMETRY_MISSING_SLICE
        assert running_service.wait(localizer, State.REFUSED).code is Code.GEOMETRY_MIXED_ORIENTATION
        assert graph.calls == []


def test_graph_that_raises_is_a_dead_letter_and_the_next_study_is_processed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    working = FakeGraph()
    studies = {
        Code.PIXELS_UNDECODABLE: (ultrasound(), InputError(Code.PIXELS_UNDECODABLE, "a.dcm")),
        Code.INTERNAL: (ultrasound(), ValueError("SECRET")),
    }
    errors = {image.SeriesInstanceUID: error for image, error in studies.values()}

    def graph(request: Request) -> FakeOutcome:
        if request.series in errors:
            raise errors[request.series]
        return working(request)

    with service(tmp_path, graph) as running_service:
        good = ultrasound()
        send(running_service.config, *(image for image, _ in studies.values()), good)
        for code, (image, _) in studies.items():
            dead = running_service.wait(image.StudyInstanceUID, State.FAILED)
            assert dead.code is code
            assert "SECRET" not in dead.reason
        running_service.wait(good.StudyInstanceUID, State.DONE)
    assert "SECRET" not in "".join(capfd.readouterr())


def test_refused_run_is_recorded_beside_the_one_that_found(tmp_path: Path) -> None:
    graph = FakeGraph()
    with service(tmp_path, graph) as running_service:
        good = ultrasound()
        send(running_service.config, good, ultrasound(good.StudyInstanceUID, PixelData=None))
        done = running_service.wait(good.StudyInstanceUID, State.DONE)
        runs = running_service.steps.results.runs(done)
        assert sorted((run.state.value, run.code) for run in runs) == [
            ("found", None),
            ("refused", Code.PIXELS_MISSING),
        ]


def test_archive_that_is_down_gets_its_results_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    config = config_in(
        tmp_path,
        aes={"PACS": {"title": "PACS", "host": "127.0.0.1", "port": port}},
        tasks=[TASK],
        delivery={"attempts": 60, "first_wait": "0.2 s", "longest_wait": "0.5 s"},
    )
    image = ultrasound()
    with running(config, FakeGraph()) as steps:
        send(config, image)
        study = image.StudyInstanceUID
        wait_for(lambda: [g.state for g in steps.generations.generations(study)] == [State.DELIVERING], 30)
        wait_for(lambda: steps.results.deliveries(steps.generations.generation(study, 0))[0].attempts > 1, 30)
        with archive(port) as peer:
            wait_for(lambda: steps.generations.generation(study, 0).state is State.DONE, 30)
            assert len(peer.instances()) == 2


def test_archive_that_stays_down_makes_a_dead_letter_that_retry_delivers_without_computing(
    tmp_path: Path,
) -> None:
    port = free_port()
    aes = {"PACS": {"title": "PACS", "host": "127.0.0.1", "port": port}}
    config = config_in(tmp_path, aes=aes, tasks=[TASK])
    image, graph = ultrasound(), FakeGraph()
    study = image.StudyInstanceUID
    with running(config, graph) as steps:
        send(config, image)
        wait_for(lambda: [g.state for g in steps.generations.generations(study)] == [State.FAILED], 40)
        dead = steps.generations.generation(study, 0)
        assert dead.code is Code.DELIVERY_FAILED
        assert "is it running" in dead.reason
        with archive(port) as peer:
            retry(config, study)
            wait_for(lambda: steps.generations.generation(study, 0).state is State.DONE, 40)
            assert len(peer.instances()) == 2
        assert len(graph.calls) == 1


def test_archive_that_refuses_for_good_is_not_asked_again(tmp_path: Path) -> None:
    with service(tmp_path, FakeGraph()) as running_service:
        asked: list[str] = []

        def refuse(image: Any, _count: int) -> int:
            asked.append(image.SOPInstanceUID)
            return 0xA900 if image.Modality == "PMAP" else 0x0000

        running_service.archive.answer = refuse
        image = ultrasound()
        send(running_service.config, image)
        dead = running_service.wait(image.StudyInstanceUID, State.FAILED)
        assert dead.code is Code.DELIVERY_REFUSED
        assert "0xA900" in dead.reason
        assert len(asked) == 2
        assert [item.Modality for item in running_service.archive.received] == ["SEG"]


def test_destination_gets_only_the_kinds_it_accepts(tmp_path: Path) -> None:
    with archive() as second:
        task = {
            **TASK,
            "destinations": [{"ae": "PACS", "accepts": ["SEG"]}, {"ae": "VIEWER", "accepts": ["PM"]}],
        }
        port = free_port()
        aes = {
            "PACS": {"title": "PACS", "host": "127.0.0.1", "port": port},
            "VIEWER": {"title": "PACS", "host": "127.0.0.1", "port": second.port},
        }
        config = config_in(tmp_path, aes=aes, tasks=[task])
        with archive(port) as first, running(config, FakeGraph()) as steps:
            image = ultrasound()
            send(config, image)
            study = image.StudyInstanceUID
            wait_for(lambda: [g.state for g in steps.generations.generations(study)] == [State.DONE], 30)
            assert [item.Modality for item in first.received] == ["SEG"]
            assert [item.Modality for item in second.received] == ["PMAP"]


def test_what_was_received_while_no_worker_ran_is_processed_when_one_starts(tmp_path: Path) -> None:
    with archive() as peer:
        aes = {"PACS": {"title": "PACS", "host": "127.0.0.1", "port": peer.port}}
        config = config_in(tmp_path, aes=aes, tasks=[TASK])
        image = ultrasound()
        alone = Node(config)
        alone.start()
        assert send(config, image) == [0x0000]
        alone.stop()
        with running(config, FakeGraph()) as steps:
            study = image.StudyInstanceUID
            wait_for(lambda: [g.state for g in steps.generations.generations(study)] == [State.DONE], 30)
        assert len(peer.instances()) == 2


def test_database_holds_no_patient_identity(tmp_path: Path) -> None:
    with service(tmp_path, FakeGraph()) as running_service:
        image = ultrasound(study=generate_uid())
        send(running_service.config, image)
        running_service.wait(image.StudyInstanceUID, State.DONE)
    for path in (tmp_path / "state").glob("*.sqlite*"):
        content = path.read_bytes()
        for secret in (b"SECRET", b"Secret", b"19500101"):
            assert secret not in content, path.name
