"""A real archive: Orthanc routes a study to our AE by its own rule and gets SEG, PM and SC back."""

from pathlib import Path
from time import sleep

import pytest

from app.config import AE, load_config
from app.delivery.responses import Verdict
from app.delivery.sender import send_files
from tests.app.peers import free_port, site_file, ultrasound, wait_for
from tests.app.tasks import TASK
from tests.faults.processes import process
from tests.faults.test_kill import states
from tests.faults.test_kill_real import LUNGS, chest_with_a_place_in_space
from tests.interop.archive import AE_TITLE, needs_orthanc, orthanc

pytestmark = [pytest.mark.peers, pytest.mark.timeout(1800), needs_orthanc]

KINDS = ("SEG", "PM", "SC")
LONG_ENOUGH = 4
"""Seconds; what arrives is processed once the study was quiet for half a second."""
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


@pytest.mark.parametrize("graph", ["fake", pytest.param("real", marks=pytest.mark.slow)])
def test_orthanc_routes_a_study_and_gets_its_results_back(tmp_path: Path, graph: str) -> None:
    task = {**(TASK if graph == "fake" else LUNGS), "outputs": [kind.lower() for kind in KINDS]}
    source = ultrasound() if graph == "fake" else chest_with_a_place_in_space()
    archive_ae = AE(title=AE_TITLE, host="127.0.0.1", port=free_port())
    site = site_file(
        tmp_path, aes={"PACS": archive_ae.model_dump()}, tasks=[task], listener={"calling_aes": [AE_TITLE]}
    )
    config = load_config(site=site)
    file = tmp_path / "image.dcm"
    source.save_as(file, enforce_file_format=True)
    route = tmp_path / "route.lua"
    route.write_text(ROUTE)
    with (
        process(site, "listener", graph) as listener,
        process(site, "worker", graph) as worker,
        orthanc(
            tmp_path / "orthanc",
            DicomPort=archive_ae.port,
            DicomCheckCalledAet=True,
            DicomAlwaysAllowStore=True,
            LuaScripts=[str(route)],
            DicomModalities={"ai": {"AET": "TEXTSEG", "Host": "127.0.0.1", "Port": config.listener.port}},
        ) as archive,
    ):
        listener.wait_ready()
        worker.wait_ready()
        assert [a.verdict for a in send_files([file], archive_ae, "MODALITY", 30)] == [Verdict.SENT]
        wait_for(lambda: len(archive.get("/instances")) == 1 + len(KINDS), 900, f"{KINDS} in Orthanc")
        described = [
            item["MainDicomTags"].get("SeriesDescription", "") for item in archive.get("/series?expand")
        ]
        for kind in KINDS:
            text = f"AI {task['name']} {kind} - NOT FOR DIAGNOSTIC USE"
            assert sum(text == found for found in described) == 1, described
        assert len(archive.get("/studies")) == 1
        assert len(archive.get("/patients")) == 1
        wait_for(lambda: states(config, source.StudyInstanceUID) == ["done"], 60, "done")

        # An archive may route what came back: nothing may come of it.
        for series in archive.get("/series"):
            archive.post("/modalities/ai/store", series.encode())
        ignored = config.storage.root / "ignored"
        wait_for(lambda: len(list(ignored.rglob("*.dcm"))) == len(KINDS), 60, "results ignored")
        sleep(LONG_ENOUGH)
        assert states(config, source.StudyInstanceUID) == ["done"]
        assert len(archive.get("/instances")) == 1 + len(KINDS)
