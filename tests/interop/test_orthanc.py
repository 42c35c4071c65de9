"""A real archive: Orthanc routes a study to our AE by its own rule and gets SEG and PM back."""

import contextlib
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.config import AE, load_config
from app.delivery.responses import Verdict
from app.delivery.sender import send_files
from tests.app.peers import free_port, site_file, ultrasound, wait_for
from tests.app.tasks import TASK
from tests.faults.processes import process
from tests.faults.test_kill_real import LUNGS, chest_with_a_place_in_space

ORTHANC = shutil.which("Orthanc")

pytestmark = [
    pytest.mark.peers,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(ORTHANC is None, reason="Orthanc is not installed (Debian package orthanc)"),
]

ROUTE = """
function OnStableStudy(study, tags, metadata)
  local series = {}
  for _, item in pairs(ParseJson(RestApiGet('/studies/' .. study .. '/series'))) do
    if not string.find(item['MainDicomTags']['SeriesDescription'] or '', '^AI ') then
      table.insert(series, item['ID'])
    end
  end
  for _, name in pairs(ParseJson(RestApiGet('/studies/' .. study .. '/metadata'))) do
    if name == '1024' then return end   -- routed before
  end
  RestApiPut('/studies/' .. study .. '/metadata/1024', 'routed')
  local job = { Resources = series, Asynchronous = true, LocalAet = 'TESTPACS' }
  RestApiPost('/modalities/ai/store', DumpJson(job))
end
"""


class Orthanc:
    """An Orthanc of our own on loopback, in its own folder."""

    def __init__(self, folder: Path, our_port: int, dicom_port: int) -> None:
        self.dicom_port = dicom_port
        self._http = free_port()
        (folder / "route.lua").write_text(ROUTE)
        configuration = {
            "Name": "TESTPACS",
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "LuaScripts": [str(folder / "route.lua")],
            "HttpPort": self._http,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": "TESTPACS",
            "DicomPort": dicom_port,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": True,
            "StableAge": 2,
            "SaveJobs": False,
            "DicomModalities": {"ai": {"AET": "TEXTSEG", "Host": "127.0.0.1", "Port": our_port}},
        }
        (folder / "orthanc.json").write_text(json.dumps(configuration))
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
        with urllib.request.urlopen(f"http://127.0.0.1:{self._http}{path}", timeout=20) as answer:
            return json.load(answer)

    def series(self) -> dict[str, dict[str, Any]]:
        """Modality to series; one series of each is expected."""
        return {item["MainDicomTags"]["Modality"]: item for item in self.get("/series?expand")}


@contextlib.contextmanager
def orthanc(folder: Path, our_port: int, dicom_port: int) -> Iterator[Orthanc]:
    folder.mkdir()
    running = Orthanc(folder, our_port, dicom_port)
    try:
        yield running
    finally:
        running.process.terminate()
        running.process.wait(60)


@pytest.mark.parametrize("graph", ["fake", pytest.param("real", marks=pytest.mark.slow)])
def test_orthanc_routes_a_study_and_gets_its_results_back(tmp_path: Path, graph: str) -> None:
    task = TASK if graph == "fake" else LUNGS
    source = ultrasound() if graph == "fake" else chest_with_a_place_in_space()
    dicom_port = free_port()
    aes = {"PACS": {"title": "TESTPACS", "host": "127.0.0.1", "port": dicom_port}}
    site = site_file(tmp_path, aes=aes, tasks=[task], listener={"calling_aes": ["TESTPACS"]})
    config = load_config(site=site)
    file = tmp_path / "image.dcm"
    source.save_as(file, enforce_file_format=True)
    with (
        process(site, "listener", graph) as listener,
        process(site, "worker", graph) as worker,
        orthanc(tmp_path / "orthanc", config.listener.port, dicom_port) as archive,
    ):
        listener.wait_ready()
        worker.wait_ready()
        modality = AE(title="TESTPACS", host="127.0.0.1", port=dicom_port)
        assert [a.verdict for a in send_files([file], modality, "MODALITY", 30)] == [Verdict.SENT]
        wait_for(lambda: len(archive.get("/instances")) == 3, 900, "SEG and PM in Orthanc")
        series = archive.series()
        described = [item["MainDicomTags"].get("SeriesDescription", "") for item in series.values()]
        for kind in ("SEG", "PM"):
            text = f"AI {task['name']} {kind} - NOT FOR DIAGNOSTIC USE"
            assert sum(text == found for found in described) == 1, described
        assert len(archive.get("/studies")) == 1
        assert len(archive.get("/patients")) == 1
        # Orthanc may route what came back: nothing may come of it.
        for item in series.values():
            archive_to_us(archive, item["ID"])
        wait_for(
            lambda: len(list((config.storage.root / "ignored").rglob("*.dcm"))) == 2, 60, "results ignored"
        )
        assert len(archive.get("/instances")) == 3


def archive_to_us(archive: Orthanc, series: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{archive._http}/modalities/ai/store", data=series.encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200
