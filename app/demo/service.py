"""The real service for the demonstration: `textseg serve` in a process and on ports of its own."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from app.config import load_config
from app.demo.archive import LOOPBACK
from app.status import listing

AE_TITLE = "TEXTSEG"
ARCHIVE_NAME = "ARCHIVE"
"""What the demo's tasks call the archive in `destinations:`."""

TASKS = Path(__file__).with_name("tasks.yaml")
STOP_SECONDS = 30


class ServiceError(Exception):
    """The service ended, or does not answer; the message ends with the last lines of its log."""


def free_port() -> int:
    """Return a TCP port of this computer that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def site(state: Path, port: int, archive_ae: str, archive_port: int) -> dict[str, Any]:
    """Return the demo's site file: what differs from the packaged app.yaml.

    Parameters
    ----------
    state
        Where the service keeps what it received.
    port
        Where the service listens.
    archive_ae, archive_port
        The archive that sends, and gets the results.
    """
    return {
        "listener": {"ae_title": AE_TITLE, "host": LOOPBACK, "port": port, "calling_aes": [archive_ae]},
        "storage": {"root": str(state), "reserve": "100 MB"},
        "study": {"quiet": "2 s", "at_most": "60 s"},
        "aes": {ARCHIVE_NAME: {"title": archive_ae, "host": LOOPBACK, "port": archive_port}},
        "delivery": {"first_wait": "1 s"},
        "tasks": yaml.safe_load(TASKS.read_text(encoding="utf-8")),
    }


class Service:
    """`textseg serve` with a site file; use it as a context manager.

    Parameters
    ----------
    config
        The site file.
    log
        Where everything goes that the service says.
    """

    def __init__(self, config: Path, log: Path) -> None:
        self.config = config
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the service."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command("serve"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the service and everything it started."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def require_alive(self) -> None:
        """Raise ServiceError when the service has ended."""
        if self._process is None or self._process.poll() is not None:
            code = None if self._process is None else self._process.returncode
            raise ServiceError(f"the service ended with exit code {code}; its last words:\n{self.tail()}")

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of the log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def status(self) -> list[dict[str, Any]]:
        """Return what `textseg status --json` prints."""
        return listing(load_config(site=self.config))

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "app.cli", *arguments, "--config", str(self.config)]
