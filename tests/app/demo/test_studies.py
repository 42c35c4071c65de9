"""The demo's studies are what an archive would hold, and the converted one lies where the template lies."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import dcmread

from app.demo.studies import ABDOMEN, CHEST, HEAD, SLICE_DISTANCE_MM, convert, packaged, write_studies
from tests.app.demo.moments import MOMENT


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory):
    return write_studies(tmp_path_factory.mktemp("demo") / "studies", MOMENT)


def test_every_study_is_dated_at_the_moment_and_has_one_study_uid(studies):
    for study in studies:
        headers = [dcmread(path, stop_before_pixels=True) for path in study.files]
        assert {h.StudyInstanceUID for h in headers} == {study.study_instance_uid}
        assert {(h.StudyDate, h.StudyTime) for h in headers} == {("20260304", "102030")}
        assert len({h.SOPInstanceUID for h in headers}) == len(study.files)


@pytest.mark.parametrize(("index", "name"), [(0, CHEST), (1, ABDOMEN)])
def test_packaged_images_keep_their_pixels_and_identity(studies, index, name):
    ours, original = dcmread(studies[index].files[0]), dcmread(packaged("data_store", "data", name))

    assert ours.PixelData == original.PixelData
    assert ours.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID
    assert (ours.PatientName, ours.PatientID) == (original.PatientName, original.PatientID)
    assert ours.SOPInstanceUID != original.SOPInstanceUID


def test_two_runs_make_different_studies(tmp_path: Path):
    first, second = (write_studies(tmp_path / name, MOMENT) for name in "ab")

    assert {s.study_instance_uid for s in first}.isdisjoint({s.study_instance_uid for s in second})


def test_the_converted_head_says_so_and_is_evenly_spaced(studies):
    slices = [dcmread(path) for path in studies[2].files]
    heights = np.array([float(s.ImagePositionPatient[2]) for s in slices])

    assert "converted" in slices[0].SeriesDescription
    assert np.allclose(np.diff(heights), SLICE_DISTANCE_MM)
    assert len({s.FrameOfReferenceUID for s in slices}) == 1


def test_converted_pixels_lie_at_the_same_millimetres_as_in_the_template(studies):
    template = nibabel.load(packaged("nilearn", "datasets", "data", HEAD))
    values, to_voxel = np.asarray(template.dataobj), np.linalg.inv(template.affine)
    image = dcmread(studies[2].files[9])
    rng = np.random.default_rng(0)
    for row, column in rng.integers(0, [image.Rows, image.Columns], (200, 2)):
        orientation = np.array(image.ImageOrientationPatient, float)
        lps = (
            np.array(image.ImagePositionPatient, float)
            + orientation[:3] * image.PixelSpacing[1] * column
            + orientation[3:] * image.PixelSpacing[0] * row
        )
        i, j, k = np.rint(to_voxel @ [-lps[0], -lps[1], lps[2], 1])[:3].astype(int)
        assert image.pixel_array[row, column] == values[i, j, k]


def test_a_template_with_other_axes_is_refused():
    flipped = np.diag([-1.0, 1.0, 1.0, 1.0])

    with pytest.raises(ValueError, match="axes"):
        next(convert(np.ones((4, 4, 4), np.uint8), flipped, MOMENT))


def test_a_missing_package_is_named_with_what_to_do():
    with pytest.raises(FileNotFoundError, match="make setup"):
        packaged("no_such_package", "data", "x.dcm")
