"""The study list, another try for a dead letter, retention, sending a folder: what a person works with."""

import json
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from app.config import Config
from app.listener.node import Node
from app.log import short
from app.send import send as send_folder
from app.status import listing, retry, status
from app.study import retention
from app.study.database import Database, now
from app.study.generations import Generations
from app.study.results import ResultObject, Results, Run
from app.study.states import Event, RunState, State
from app.study.steps import Steps
from models.errors import Code, ConfigError, DeliveryError, InputError
from tests.app.graphs import FakeGraph
from tests.app.peers import archive, config_in, send, ultrasound
from tests.app.tasks import TASK


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_in(tmp_path, tasks=[TASK])


def received(config: Config, study: str, *, days_ago: float = 0.0) -> None:
    folder = config.storage.inbox / study
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{study}.1.dcm"
    file.write_bytes(b"")
    moment = time.time() - 86400 * days_ago
    os.utime(file, (moment, moment))


def finished(config: Config, study: str) -> Path:
    """Record a study that found something, one of whose objects was delivered."""
    database = Database(config.storage.root)
    generations, results = Generations(database), Results(database)
    generation = generations.freeze(study, [f"{study}.1"], now())
    assert generation is not None
    run = Run("1.2.3", "mass", "digest")
    results.plan(generation, [run])
    generations.move(generation, Event.PLANNED)
    generations.move(generation, Event.TAKEN)
    path = config.storage.outbox / generation.key / "1.dcm"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    objects = [ResultObject(f"{study}.9.{kind}", kind, path, ("PACS",)) for kind in ("SEG", "PM")]
    details = {"seconds": {"saliency": 1.5}, "volume_ml": 3.25}
    results.finish(generation, run, RunState.FOUND, None, "", details, objects)
    generations.move(generation, Event.COMPUTED)
    results.delivered(results.deliveries(generation)[0], "sent", None, "")
    return path


def test_list_says_where_every_study_is(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    received(config, "1.2.3.4")
    finished(config, "1.2.3.5")
    rows = {row["study_instance_uid"]: row for row in listing(config)}
    assert rows["1.2.3.4"]["state"] == "receiving"
    assert rows["1.2.3.5"]["state"] == "delivering"
    assert rows["1.2.3.5"]["study"] == short("1.2.3.5")
    status(config, as_json=True)
    printed = {row["study_instance_uid"]: row for row in json.loads(capsys.readouterr().out)}
    assert printed["1.2.3.5"]["runs"][0]["volume_ml"] == 3.25
    assert [item["state"] for item in printed["1.2.3.5"]["deliveries"]] == ["sent", "pending"]
    status(config)
    table = capsys.readouterr().out
    assert "PACS 1/2" in table
    assert "receiving" in table


def test_empty_list_says_so(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    status(config)
    assert "No study was received" in capsys.readouterr().out


def test_dead_letter_shows_code_and_reason(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    generations = Generations(Database(config.storage.root))
    generation = generations.freeze("1.2.3", ["1"], now())
    assert generation is not None
    generations.move(generation, Event.FAILED, Code.TIME_EXCEEDED, "it took too long")
    status(config)
    assert "TIME-EXCEEDED" in capsys.readouterr().out


def test_retry_needs_a_study_that_ended_badly(config: Config) -> None:
    with pytest.raises(InputError, match="there is no study"):
        retry(config, "1.2.3")
    finished(config, "1.2.3")
    with pytest.raises(InputError, match="is delivering; only failed, refused, too-old can be retried"):
        retry(config, short("1.2.3"))


def test_retry_forgets_failures_and_keeps_answers(config: Config) -> None:
    finished(config, "1.2.3")
    database = Database(config.storage.root)
    generations, results = Generations(database), Results(database)
    generation = generations.generation("1.2.3", 0)
    pending = results.deliveries(generation)[1]
    results.delivered(pending, "failed", Code.DELIVERY_FAILED, "nobody there")
    generations.move(generation, Event.FAILED, Code.DELIVERY_FAILED, "nobody there")
    reopened = generations.retry(generation)
    assert (reopened.state, reopened.forced, reopened.attempt) == (State.QUIET, True, 1)
    assert [run.state for run in results.runs(reopened)] == [RunState.FOUND]
    assert [item.state for item in results.deliveries(reopened)] == ["sent", "pending"]


def test_finished_studies_are_deleted_entirely_when_their_time_is_over(tmp_path: Path) -> None:
    config = config_in(tmp_path, tasks=[TASK], study={"keep": "0 s"})
    steps = Steps(config, FakeGraph())
    received(config, "1.2.3", days_ago=1)
    path = finished(config, "1.2.3")
    retention.sweep(config, steps)
    assert path.exists(), "a study on its way is never deleted"
    steps.generations.move(steps.generations.generation("1.2.3", 0), Event.DELIVERED)
    retention.sweep(config, steps)
    assert not path.parent.exists()
    assert not (config.storage.inbox / "1.2.3").exists()
    assert listing(config) == []


def test_study_that_got_a_late_image_is_not_deleted(tmp_path: Path) -> None:
    config = config_in(tmp_path, tasks=[TASK], study={"keep": "1 h"})
    steps = Steps(config, FakeGraph())
    finished(config, "1.2.3")
    steps.generations.move(steps.generations.generation("1.2.3", 0), Event.DELIVERED)
    received(config, "1.2.3")
    retention.sweep(config, steps)
    assert len(listing(config)) == 1


def test_ignored_instances_are_deleted_when_their_time_is_over(tmp_path: Path) -> None:
    config = config_in(tmp_path, tasks=[TASK])
    steps = Steps(config, FakeGraph())
    folder = config.storage.root / "ignored" / "1.2.3"
    folder.mkdir()
    for name, days in (("old", 30), ("new", 0)):
        (folder / name).write_bytes(b"")
        moment = time.time() - timedelta(days=days).total_seconds()
        os.utime(folder / name, (moment, moment))
    retention.sweep(config, steps)
    assert [path.name for path in folder.iterdir()] == ["new"]


def image_folder(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        ultrasound().save_as(folder / f"{number}.dcm", enforce_file_format=True)
    (folder / "readme.txt").write_text("no image")
    return folder


def test_folder_is_sent_to_our_own_listener(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = Node(config)
    node.start()
    send_folder(config, image_folder(tmp_path / "images", 3), config.listener.ae_title)
    node.stop()
    assert "3 of 3 files accepted by TEXTSEG" in capsys.readouterr().out
    assert len(list(config.storage.inbox.rglob("*.dcm"))) == 3


def test_folder_that_is_not_taken_is_an_error_with_the_reason(tmp_path: Path) -> None:
    with archive() as peer:
        peer.answer = lambda _image, _count: 0xA700
        aes = {"PACS": {"title": "PACS", "host": "127.0.0.1", "port": peer.port}}
        config = config_in(tmp_path, aes=aes, tasks=[TASK])
        with pytest.raises(DeliveryError, match=r"2 files were not accepted; 0\.dcm: .*0xA700"):
            send_folder(config, image_folder(tmp_path / "images", 2), "PACS")


def test_sending_needs_an_ae_and_images(config: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no AE 'NOWHERE'; the configuration knows: PACS, TEXTSEG"):
        send_folder(config, image_folder(tmp_path / "images", 1), "NOWHERE")
    with pytest.raises(InputError) as caught:
        send_folder(config, image_folder(tmp_path / "none", 0), "PACS")
    assert caught.value.code is Code.INPUT_EMPTY


def test_two_workers_on_one_state_folder_are_refused(config: Config) -> None:
    from app.worker import _only_worker

    with _only_worker(config.storage.root), pytest.raises(ConfigError, match="another worker"):
        _only_worker(config.storage.root)


def test_listener_needs_no_worker_to_acknowledge(config: Config) -> None:
    node = Node(config)
    node.start()
    image = ultrasound()
    assert send(config, image) == [0x0000]
    node.stop()
    assert [row["state"] for row in listing(config)] == ["receiving"]
