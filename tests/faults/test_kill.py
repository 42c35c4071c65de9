"""kill -9 at every step: what was acknowledged is processed, and the archive holds each result once."""

from collections import Counter
from pathlib import Path

import pytest

from app.config import Config, load_config
from app.delivery.outbox import kind_of
from app.study.database import Database
from app.study.generations import Generations
from app.study.states import State
from models.errors import Code
from tests.app.peers import Archive, send, site_file, ultrasound, wait_for
from tests.app.tasks import TASK
from tests.faults.processes import Process, process

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.fixture
def site(tmp_path: Path, peer: Archive) -> Path:
    aes = {"PACS": {"title": "PACS", "host": "127.0.0.1", "port": peer.port}}
    return site_file(tmp_path, aes=aes, tasks=[TASK])


def states(config: Config, study: str) -> list[State]:
    return [item.state for item in Generations(Database(config.storage.root)).generations(study)]


def assert_each_result_once(peer: Archive, config: Config) -> None:
    """One SEG and one PM by SOP Instance UID, those of the outbox, and every resend like the first."""
    sent = {str(item.SOPInstanceUID) for item in peer.received}
    assert Counter(kind_of(str(item.SOPClassUID)) for item in peer.instances().values()) == {
        "SEG": 1,
        "PM": 1,
    }
    assert sent == {path.stem for path in config.storage.outbox.rglob("*.dcm")}
    by_uid: dict[str, set[str]] = {}
    for item in peer.received:
        by_uid.setdefault(str(item.SOPInstanceUID), set()).add(item.to_json())
    assert all(len(contents) == 1 for contents in by_uid.values()), "a resend differed from the first"


WORKER_POINTS = [
    ("app.study.steps:Steps.quiet", "before"),
    ("app.study.generations:Generations.freeze", "after"),
    ("app.study.steps:Steps.plan", "before"),
    ("app.study.steps:gather", "after"),
    ("app.study.results:Results.plan", "after"),
    ("app.study.steps:Steps.plan", "after"),
    ("app.study.steps:Steps.take", "after"),
    ("app.study.steps:Steps.run", "before"),
    ("app.study.steps:publish", "before"),
    ("app.delivery.outbox:sync_folder", "before"),
    ("app.study.steps:publish", "after"),
    ("app.study.results:Results.finish", "after"),
    ("app.study.steps:Steps.conclude", "after"),
    ("app.study.steps:Steps.deliver", "before"),
    ("app.delivery.sender:_send_one", "before"),
    ("app.delivery.sender:_send_one", "after"),
    ("app.delivery.sender:_send_one", "before:2"),
    ("app.study.results:Results.delivered", "before"),
    ("app.study.results:Results.delivered", "after"),
    ("app.study.steps:Steps.settle", "before"),
    ("app.study.steps:Steps.settle", "after"),
]


@pytest.mark.parametrize(("point", "when"), WORKER_POINTS)
def test_worker_killed_at_a_step_is_replaced_and_nothing_is_lost_or_doubled(
    site: Path, config: Config, peer: Archive, point: str, when: str
) -> None:
    image = ultrasound()
    with (
        process(site, "listener", "fake") as listener,
        process(site, "worker", "fake", point, when) as victim,
    ):
        listener.wait_ready()
        victim.wait_ready()
        assert send(config, image) == [0x0000]
        victim.wait_killed()
        with process(site, "worker", "fake", point, when) as worker:
            wait_for(lambda: states(config, image.StudyInstanceUID) == [State.DONE], 120, "done")
            worker.wait_ready()
            assert worker.stop() == 0
    assert_each_result_once(peer, config)


LISTENER_POINTS = [
    ("app.study.inbox:Inbox.put", "before"),
    ("app.study.inbox:Inbox.put", "after"),
    ("app.listener.arming:Arming.mark", "after"),
    ("app.listener.arming:Arming._arm_one", "before"),
    ("app.listener.arming:Arming._arm_one", "after"),
]


@pytest.mark.parametrize(("point", "when"), LISTENER_POINTS)
def test_listener_killed_between_rename_and_enqueue_processes_what_it_acknowledged(
    site: Path, config: Config, peer: Archive, point: str, when: str
) -> None:
    image = ultrasound()
    with process(site, "worker", "fake") as worker:
        worker.wait_ready()
        with process(site, "listener", "fake", point, when) as victim:
            victim.wait_ready()
            acknowledged = answered(config, image)
            victim.wait_killed()
        with process(site, "listener", "fake", point, when) as listener:
            listener.wait_ready()
            if not acknowledged:  # a sender sends again what was not acknowledged
                wait_for(lambda: answered(config, image), 30)
            wait_for(lambda: states(config, image.StudyInstanceUID) == [State.DONE], 120, "done")
    assert_each_result_once(peer, config)


def answered(config: Config, image: object) -> bool:
    try:
        return send(config, image) == [0x0000]  # type: ignore[arg-type]
    except (AssertionError, AttributeError, RuntimeError):
        return False


def test_study_that_kills_two_workers_is_a_dead_letter_and_the_next_study_is_processed(
    site: Path, config: Config, peer: Archive, tmp_path: Path
) -> None:
    deadly = ultrasound()
    point = ("tests.app.graphs:FakeGraph.__call__", "before")
    with process(site, "listener", "fake") as listener:
        listener.wait_ready()
        for name in ("1", "2"):
            with process(site, "worker", "fake", *point, name) as victim:
                victim.wait_ready()
                if name == "1":
                    assert send(config, deadly) == [0x0000]
                victim.wait_killed()
        with process(site, "worker", "fake"):
            wait_for(lambda: states(config, deadly.StudyInstanceUID) == [State.FAILED], 120, "failed")
            good = ultrasound()
            assert send(config, good) == [0x0000]
            wait_for(lambda: states(config, good.StudyInstanceUID) == [State.DONE], 120, "done")
    dead = Generations(Database(config.storage.root)).generations(deadly.StudyInstanceUID)[0]
    assert dead.code is Code.WORKER_DIED
    assert len(peer.instances()) == 2


def test_worker_stopped_on_purpose_is_no_death(site: Path, config: Config, peer: Archive) -> None:
    image = ultrasound()
    with process(site, "listener", "fake") as listener:
        listener.wait_ready()
        with process(site, "worker", "slow") as worker:
            worker.wait_ready()
            assert send(config, image) == [0x0000]
            wait_for(lambda: worker.said("slow graph"), 60)
            for _ in range(2):
                assert worker.stop() == 0
                worker = Process(site, "worker", "slow")  # noqa: PLW2901
                worker.wait_ready()
        worker.stop()
        with process(site, "worker", "fake"):
            wait_for(lambda: states(config, image.StudyInstanceUID) == [State.DONE], 120, "done")
    assert_each_result_once(peer, config)


def test_task_that_takes_too_long_ends_the_worker_and_is_a_dead_letter(tmp_path: Path, peer: Archive) -> None:
    aes = {"PACS": {"title": "PACS", "host": "127.0.0.1", "port": peer.port}}
    site = site_file(tmp_path, aes=aes, tasks=[{**TASK, "max_minutes": 0.05}])
    config = load_config(site=site)
    image = ultrasound()
    with process(site, "listener", "fake") as listener, process(site, "worker", "slow") as worker:
        listener.wait_ready()
        worker.wait_ready()
        assert send(config, image) == [0x0000]
        wait_for(lambda: worker.said("TIME-EXCEEDED"), 120)
        with process(site, "worker", "fake"):
            wait_for(lambda: states(config, image.StudyInstanceUID) == [State.FAILED], 120, "failed")
    dead = Generations(Database(config.storage.root)).generations(image.StudyInstanceUID)[0]
    assert dead.code is Code.TIME_EXCEEDED
    assert peer.received == []
