"""`textseg serve`: two processes, each replaced when it dies, both ended with the supervisor."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import load_config
from tests.app.peers import archive, send, site_file, ultrasound, wait_for
from tests.app.tasks import TASK
from tests.faults.processes import ROOT
from tests.faults.test_kill import states

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

SUPERVISOR = """
import sys
from pathlib import Path
from app import serve
from app.config import load_config
from tests.faults.supervised import worker
serve.worker = worker
if __name__ == "__main__":
    serve.serve(load_config(site=Path(sys.argv[1])))
"""


class Supervisor:
    """A running supervisor whose worker has no models."""

    def __init__(self, folder: Path, site: Path) -> None:
        self.log = folder / "serve.log"
        script = folder / "supervisor.py"
        script.write_text(SUPERVISOR)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(script), str(site)],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def pids(self, name: str) -> list[int]:
        return [int(found) for found in re.findall(rf"{name} started, process (\d+)", self.text())]

    def ready(self, name: str) -> int:
        return len(re.findall(f"{name} ready", self.text()))


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[tuple[Supervisor, Path]]:
    with archive() as peer:
        aes = {"PACS": {"title": "PACS", "host": "127.0.0.1", "port": peer.port}}
        site = site_file(tmp_path, aes=aes, tasks=[TASK])
        running = Supervisor(tmp_path, site)
        try:
            yield running, site
        finally:
            running.process.kill()
            running.process.wait()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_process_that_is_killed_is_replaced_and_service_goes_on(supervisor: tuple[Supervisor, Path]) -> None:
    running, site = supervisor
    config = load_config(site=site)
    wait_for(lambda: running.ready("listener") and running.ready("worker"), 120)
    for name in ("listener", "worker"):
        os.kill(running.pids(name)[-1], signal.SIGKILL)
        wait_for(lambda name=name: running.ready(name) == 2, 120)  # type: ignore[misc]
    image = ultrasound()
    assert send(config, image) == [0x0000]
    wait_for(lambda: states(config, image.StudyInstanceUID) == ["done"], 120)
    running.process.terminate()
    assert running.process.wait(60) == 0
    pids = running.pids("listener") + running.pids("worker")
    assert len(pids) == 4
    assert not any(is_running(pid) for pid in pids)


def test_children_end_when_the_supervisor_is_killed(supervisor: tuple[Supervisor, Path]) -> None:
    running, _site = supervisor
    wait_for(lambda: running.ready("listener") and running.ready("worker"), 120)
    running.process.kill()
    running.process.wait()
    for name in ("listener", "worker"):
        wait_for(lambda name=name: not is_running(running.pids(name)[-1]), 30)  # type: ignore[misc]
