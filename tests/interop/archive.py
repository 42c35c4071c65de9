"""A real archive for tests: an Orthanc of our own on loopback, in its own folder."""

import contextlib
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.peers import free_port, wait_for

ORTHANC = shutil.which("Orthanc")
PLUGINS = Path("/usr/share/orthanc/plugins")
AE_TITLE = "TESTPACS"

needs_orthanc = pytest.mark.skipif(
    ORTHANC is None, reason="Orthanc is not installed (Debian package orthanc)"
)


class Orthanc:
    """A running Orthanc; ``configuration`` adds to what every one of them has."""

    def __init__(self, folder: Path, **configuration: Any) -> None:
        self.http_port = free_port()
        self.dicom_port = free_port()
        base = {
            "Name": AE_TITLE,
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": AE_TITLE,
            "DicomPort": self.dicom_port,
            "StableAge": 2,
            "SaveJobs": False,
        }
        (folder / "orthanc.json").write_text(json.dumps(base | configuration))
        self.log = folder / "orthanc.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(ORTHANC), str(folder / "orthanc.json")],
                stdout=log,
                stderr=log,
                env={**os.environ, "TCP_NODELAY": "1"},
            )
        wait_for(self.is_up, 60, "Orthanc")

    def is_up(self) -> bool:
        try:
            return bool(self.get("/system"))
        except OSError:
            return False

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=20) as answer:
            return json.load(answer)

    def post(self, path: str, body: bytes) -> Any:
        request = urllib.request.Request(f"{self.url}{path}", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def delete(self, path: str) -> None:
        request = urllib.request.Request(f"{self.url}{path}", method="DELETE")
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 200

    def keep(self, files: Iterable[Path]) -> None:
        """Store files over HTTP."""
        for file in files:
            assert self.post("/instances", file.read_bytes())["Status"] == "Success"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"


@contextlib.contextmanager
def orthanc(folder: Path, **configuration: Any) -> Iterator[Orthanc]:
    folder.mkdir()
    running = Orthanc(folder, **configuration)
    try:
        yield running
    finally:
        running.process.terminate()
        running.process.wait(60)
