"""The target viewer for tests: OHIF in one headless browser, in front of an archive of our own."""

import base64
import contextlib
import io
import json
import os
import shutil
import string
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.app.peers import free_port, wait_for
from tests.interop.archive import ORTHANC, PLUGINS, Orthanc, orthanc
from tests.interop.node import NODE, PACKAGES, VIEWER

CHROMIUM = shutil.which("chromium")
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
DICOMWEB = PLUGINS / "libOrthancDicomWeb.so"
_NEEDED = {
    "Orthanc": ORTHANC is not None,
    "Orthanc's DICOMweb plugin": DICOMWEB.exists(),
    "Chromium": CHROMIUM is not None,
    "nginx": NGINX is not None,
    "the viewer (make viewer)": (PACKAGES / ".ready").exists(),
}
_MISSING = ", ".join(name for name, there in _NEEDED.items() if not there)

needs_viewer = pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {_MISSING}")


@dataclass(frozen=True, eq=False)
class ShownSegment:
    """A segment as the viewer names and colours it."""

    number: int
    label: str
    colour: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ShownArray:
    """Values that the viewer holds, (slices, rows, columns), and its affine from index to LPS millimetres."""

    values: npt.NDArray[np.generic]
    affine: npt.NDArray[np.float64]


class Viewer:
    """A running OHIF that is clicked on by tests/interop/viewer/viewer.mjs."""

    def __init__(self, archive: Orthanc, url: str) -> None:
        self.archive = archive
        command = [str(NODE), str(VIEWER / "viewer.mjs"), str(CHROMIUM), url]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def open(self, study: str) -> None:
        self._ask(do="open", study=study)

    def segmentation(self, description: str) -> tuple[list[ShownSegment], list[ShownArray]]:
        """Open a SEG; return its segments, and its planes one by one."""
        answer = self._ask(do="segmentation", series=description)
        return [ShownSegment(**one) for one in answer["segments"]], [_plane(one) for one in answer["planes"]]

    def map(self, description: str) -> ShownArray:
        """Open a Parametric Map."""
        answer = self._ask(do="map", series=description)
        affine = np.eye(4)
        affine[:3, 3] = answer["first"]
        affine[:3, :3] = (np.array(answer["next"]) - answer["first"]).T
        values = np.frombuffer(base64.b64decode(answer["float32"]), dtype=np.float32)
        return ShownArray(values.reshape(answer["shape"]), affine)

    def look(self, place: tuple[float, ...]) -> tuple[int, ...]:
        """Go to the slice of a place (LPS millimetres) and return the colour on the screen there."""
        dot = base64.b64decode(self._ask(do="look", place=place)["png"])
        return tuple(Image.open(io.BytesIO(dot)).convert("RGB").tobytes())

    def picture(self, path: Path) -> None:
        self._ask(do="picture", path=str(path))

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the browser ended during {request}"
        answer: dict[str, Any] = json.loads(line)
        assert "failed" not in answer, answer
        assert answer["complaints"] == []
        return answer


def _plane(answer: dict[str, Any]) -> ShownArray:
    affine = np.eye(4)
    row, column = np.array(answer["row"]), np.array(answer["column"])
    down, along = (spacing or 1.0 for spacing in answer["spacing"])
    affine[:3] = np.stack([np.cross(row, column), column * down, row * along, answer["position"]], axis=1)
    values = np.frombuffer(base64.b64decode(answer["uint8"]), dtype=np.uint8)
    return ShownArray(values.reshape(1, *answer["shape"]), affine)


@contextlib.contextmanager
def viewer(folder: Path) -> Iterator[Viewer]:
    """Run archive, web server and browser on free ports of loopback."""
    dicomweb = {"Enable": True, "Root": "/dicom-web/", "EnableWado": True, "WadoRoot": "/wado"}
    with (
        orthanc(folder / "orthanc", Plugins=[str(DICOMWEB)], DicomWeb=dicomweb) as archive,
        _served(folder / "nginx", archive) as url,
        contextlib.closing(Viewer(archive, url)) as running,
    ):
        yield running


@contextlib.contextmanager
def _served(folder: Path, archive: Orthanc) -> Iterator[str]:
    folder.mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    configuration = string.Template((VIEWER / "nginx.conf").read_text()).substitute(
        folder=folder,
        port=port,
        archive=archive.url,
        config=VIEWER / "app-config.js",
        viewer=PACKAGES / "@ohif" / "app" / "dist",
        user="user root;" if os.geteuid() == 0 else "",
    )
    (folder / "nginx.conf").write_text(configuration)
    command = [str(NGINX), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    server = subprocess.Popen(command)
    try:
        wait_for(lambda: _answers(url), 30, "nginx")
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
