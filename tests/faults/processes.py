"""Starting, watching and ending the service's processes for the fault tests."""

import contextlib
import itertools
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.app.peers import wait_for

_numbers = itertools.count()
ROOT = Path(__file__).resolve().parents[2]


class Process:
    """One process of the service, its log in a file."""

    def __init__(
        self, site: Path, kind: str, graph: str, point: str = "never", when: str = "before", name: str = ""
    ) -> None:
        self.log = site.parent / f"{kind}-{next(_numbers)}.log"
        self.marker = site.parent / f"{kind}{name}.died"
        command = [sys.executable, "-m", "tests.faults.process_that_dies", str(site), kind, graph]
        command += [point, when, str(self.marker)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log, stdout=log, cwd=ROOT)

    def said(self, words: str) -> bool:
        return words in self.log.read_text(errors="replace")

    def wait_ready(self, seconds: float = 600.0) -> None:
        wait_for(lambda: self.said(" ready") or self._process.poll() is not None, seconds, "ready")
        assert self._process.poll() is None, self.log.read_text(errors="replace")[-4000:]

    def wait_killed(self, seconds: float = 600.0) -> None:
        wait_for(lambda: self._process.poll() is not None, seconds, f"death\n{self.log.read_text()[-3000:]}")
        assert self._process.returncode == -signal.SIGKILL, self.log.read_text(errors="replace")[-4000:]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@contextlib.contextmanager
def process(site: Path, kind: str, graph: str, *arguments: str) -> Iterator[Process]:
    started = Process(site, kind, graph, *arguments)
    try:
        yield started
    finally:
        started.kill()
