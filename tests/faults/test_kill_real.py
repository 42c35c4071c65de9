"""kill -9 of the worker inside the real graph and while it sends: the archive has one SEG and one PM."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels import apply_voi_lut
from pydicom.uid import MRImageStorage, generate_uid

from app.config import Config
from app.demo.studies import CHEST, packaged
from tests.app.peers import Archive, send, site_file, ultrasound, wait_for
from tests.app.tasks import TASK
from tests.faults.processes import process
from tests.faults.test_kill import assert_each_result_once, states

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(1800)]

SIDE = 256
LUNGS = {
    **TASK,
    "name": "lungs",
    "when": {"modality": ["MR"]},
    "targets": [{**TASK["targets"][0], "prompts": ["the lungs in a chest X-ray", "both lungs"]}],
}
POINTS = {
    "saliency": ("models.method:Method.saliency", "before"),
    "SAM": ("models.method:Method.refine", "before"),
    "writing": ("operators.run_record:RunRecord.write", "after"),  # one object is written, the other is not
    "sending": ("app.delivery.sender:_send_one", "before:2"),  # one object is sent, the other is not
}


def chest_with_a_place_in_space() -> Dataset:
    """A real chest radiograph as a one-slice MR: found by the embedded bundle, and owed a Parametric Map."""
    source = pydicom.dcmread(packaged("data_store", "data", CHEST))
    values = apply_voi_lut(source.pixel_array, source).astype(np.float32)
    values = (values - values.min()) / np.ptp(values)
    if source.PhotometricInterpretation == "MONOCHROME1":
        values = 1 - values
    small = np.asarray(Image.fromarray((values * 255).astype(np.uint8)).resize((SIDE, SIDE)))
    return ultrasound(
        SOPClassUID=MRImageStorage,
        Modality="MR",
        Rows=SIDE,
        Columns=SIDE,
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelData=(small.astype(np.uint16) * 16).tobytes(),
        FrameOfReferenceUID=generate_uid(),
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        ImagePositionPatient=[-190.5, -12.25, 7.75],
        PixelSpacing=[1.5, 1.5],
        SliceThickness=5,
    )


@pytest.fixture
def site(tmp_path: Path, peer: Archive) -> Path:
    aes = {"PACS": {"title": "PACS", "host": "127.0.0.1", "port": peer.port}}
    return site_file(tmp_path, aes=aes, tasks=[LUNGS])


@pytest.mark.parametrize("stage", list(POINTS))
def test_worker_killed_inside_the_graph_leaves_one_seg_and_one_pm(
    site: Path, config: Config, peer: Archive, stage: str
) -> None:
    point, when = POINTS[stage]
    image = chest_with_a_place_in_space()
    with (
        process(site, "listener", "real") as listener,
        process(site, "worker", "real", point, when) as victim,
    ):
        listener.wait_ready()
        victim.wait_ready()
        assert send(config, image) == [0x0000]
        victim.wait_killed(600)
        with process(site, "worker", "real", point, when):
            wait_for(lambda: states(config, image.StudyInstanceUID) == ["done"], 900, "done")
    assert_each_result_once(peer, config)
