"""Thorax CT: lungs by rule, and a hospital that the head of its fold never saw."""

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK

from models.align.chest_ct import (
    SLICES_HOSPITAL,
    VOLUME_HOSPITAL,
    chest_ct_slices,
    held_out_ct,
    lungs_by_threshold,
)

AIR, LUNG, TISSUE, GAS = -1000.0, -850.0, 40.0, -990.0


def thorax() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return a slice (96, 120) of a body with two lungs and gas in the stomach, and where its lungs are."""
    y, x = np.mgrid[:96, :120]
    body = ((y - 48) / 40) ** 2 + ((x - 60) / 50) ** 2 < 1
    lungs = np.zeros_like(body)
    for centre in (38, 82):
        lungs |= ((y - 42) / 20) ** 2 + ((x - centre) / 14) ** 2 < 1
    stomach = (y - 74) ** 2 + (x - 60) ** 2 < 36
    hounsfield = np.select([stomach, lungs, body], [GAS, LUNG, TISSUE], AIR).astype(np.float32)
    return hounsfield, lungs


@pytest.fixture
def data(tmp_path):
    """The layout of the training sets with a thorax volume of 16 slices and two patients' single slices."""
    hounsfield, _ = thorax()
    pulmonary = tmp_path / "dicom" / "ct_mr_totalsegmentator" / "pulmonary"
    pulmonary.mkdir(parents=True)
    volume = np.repeat(hounsfield[30:60, 20:100, None], 16, 2).transpose(1, 0, 2)
    nibabel.save(
        nibabel.Nifti1Image(volume, np.diag([-1.0, -1.0, 1.0, 1.0])), pulmonary / "ct_cropped.nii.gz"
    )
    for patient, shown in (("A1", hounsfield), ("A2", np.full_like(hounsfield, TISSUE))):
        folder = tmp_path / "dicom" / "ct_single_slices" / patient / "axial"
        folder.mkdir(parents=True)
        image = SimpleITK.GetImageFromArray(shown[None].astype(np.int16))
        SimpleITK.WriteImage(image, folder / "1.dcm")
    return tmp_path


def test_lungs_are_air_inside_the_body_but_neither_the_room_nor_gas():
    hounsfield, lungs = thorax()
    found = lungs_by_threshold(hounsfield, cropped=False)
    assert 2 * (found & lungs).sum() / (found.sum() + lungs.sum()) > 0.97


def test_lungs_that_touch_the_edge_of_a_cropped_slice_are_found():
    hounsfield, lungs = thorax()
    found = lungs_by_threshold(hounsfield[30:60, 20:100], cropped=True)
    expected = lungs[30:60, 20:100]
    assert 2 * (found & expected).sum() / (found.sum() + expected.sum()) > 0.9


def test_every_slice_is_shown_in_both_windows_and_belongs_to_its_hospital(data):
    samples = list(chest_ct_slices(data, every=8))
    by_hospital = {
        fold: [one.name for one in samples if one.fold == fold] for fold in (VOLUME_HOSPITAL, SLICES_HOSPITAL)
    }
    assert by_hospital == {
        VOLUME_HOSPITAL: [f"pulmonary_{n:03}_{w}" for n in (0, 8) for w in ("soft-tissue", "lung")],
        SLICES_HOSPITAL: [f"A{n}_1_{w}" for n in (1, 2) for w in ("soft-tissue", "lung")],
    }


def test_a_fold_judges_the_slices_with_lungs_of_its_own_hospital_alone(data):
    (item,) = held_out_ct(data, SLICES_HOSPITAL)["lung"].items
    assert (item.name, item.patient) == ("A1_1_lung", "A1")
    assert item.truth().shape == item.pixels().shape[:2]
    assert item.truth().any()
    volume = held_out_ct(data, VOLUME_HOSPITAL)["lung"]
    assert {item.patient for item in volume.items} == {"pulmonary"}
    assert held_out_ct(data, 5)["lung"].items == ()
