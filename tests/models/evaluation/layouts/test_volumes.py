import numpy as np
import pytest

from models.errors import Code, DatasetError
from models.evaluation.layouts.volumes import cc359, lung_ct

SimpleITK = pytest.importorskip("SimpleITK")


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(path))


@pytest.fixture
def lungs(tmp_path):
    values = np.full((3, 20, 30), 40, np.int16)
    values[1, 5:15, 5:12] = -850
    mask = (values == -850).astype(np.uint8) * 2
    for patient in ("ID01", "ID02"):
        save(tmp_path / "images" / f"{patient}.nrrd", values)
        save(tmp_path / "masks" / f"{patient}_lung.nrrd", mask)
    return tmp_path


def test_every_slice_is_an_image_and_every_volume_a_patient(lungs):
    found = lung_ct(lungs)
    assert [item.name for item in found.items][:4] == ["ID01_0000", "ID01_0001", "ID01_0002", "ID02_0000"]
    assert {item.patient for item in found.items} == {"ID01", "ID02"}
    middle = found.items[1]
    assert middle.truth().sum() == 70
    assert middle.pixels().shape == (20, 30, 3)
    assert not found.items[0].truth().any()


def test_ct_is_shown_in_the_lung_window(lungs):
    shown = lung_ct(lungs).items[1].pixels()[..., 0]
    assert shown[0, 0] > 200
    assert 50 < shown[7, 7] < 100


def test_cc359_pairs_a_volume_with_its_silver_standard(tmp_path):
    values = np.arange(4 * 6 * 5, dtype=np.int16).reshape(4, 6, 5)
    save(tmp_path / "Original" / "CC0001_philips_15_55_M.nii.gz", values)
    save(tmp_path / "Silver-standard" / "CC0001_philips_15_55_M_ss.nii.gz", (values > 60).astype(np.uint8))
    found = cc359(tmp_path)
    assert len(found.items) == 4
    assert {item.patient for item in found.items} == {"CC0001_philips_15_55_M"}
    assert np.array_equal(found.items[3].truth(), values[3] > 60)


def test_a_mask_of_another_size_is_refused(lungs):
    save(lungs / "masks" / "ID02_lung.nrrd", np.zeros((3, 20, 29), np.uint8))
    with pytest.raises(DatasetError, match=r"ID02_lung\.nrrd: has \(3, 20, 29\)") as error:
        lung_ct(lungs)
    assert error.value.code is Code.DATASET_INVALID


def test_a_missing_or_a_double_mask_is_refused(lungs):
    save(lungs / "masks" / "ID02_lung.mha", np.zeros((3, 20, 30), np.uint8))
    with pytest.raises(DatasetError, match="2 masks named ID02_lung"):
        lung_ct(lungs)
    for path in (lungs / "masks").glob("ID02*"):
        path.unlink()
    with pytest.raises(DatasetError, match="0 masks named ID02_lung"):
        lung_ct(lungs)


def test_a_file_that_is_no_volume_is_refused(lungs):
    (lungs / "images" / "ID01.nrrd").write_bytes(b"NRRD0004\nnonsense")
    with pytest.raises(DatasetError, match=r"ID01\.nrrd: not a readable volume"):
        lung_ct(lungs)
