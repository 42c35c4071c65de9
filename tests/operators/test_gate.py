"""What a series becomes: a volume, pictures, or a refusal; one answer for whoever asks."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import UltrasoundImageStorage

from models.errors import Code, GeometryError, InputError
from operators import gate as gate_module
from operators.gate import gate
from operators.stack import PictureStack, VolumeStack, build_stack
from operators.study import read_folder
from tests.operators.results import values_of
from tests.operators.synthetic import (
    ROOT,
    enhanced,
    header,
    legacy_converted,
    phantom,
    radiograph,
    save,
    ultrasound,
    volume,
)


def series_of(path):
    (series,) = read_folder(path).series
    return series


def refusal(path):
    with pytest.raises(InputError) as caught:
        gate(series_of(path))
    return caught.value


def sweep(folder, positions):
    """Tracked ultrasound pictures: each has a place in the body."""
    for number, position in enumerate(positions, start=1):
        image = header("US", UltrasoundImageStorage, f"{ROOT}.6", number, np.full((48, 64), number, np.uint8))
        image.FrameOfReferenceUID, image.PixelSpacing = f"{ROOT}.3", [0.3, 0.3]
        image.ImagePositionPatient, image.ImageOrientationPatient = list(position), [1, 0, 0, 0, 1, 0]
        save(image, folder / f"{number}.dcm")
    return folder


def test_one_slice_of_ct_is_a_volume_on_its_own_plane(tmp_path):
    for path in volume(tmp_path, row=(0.0, 1.0, 0.0), column=(0.0, 0.0, -1.0))[1:]:
        path.unlink()
    grid = gate(series_of(tmp_path)).grid
    assert grid.shape == (1, 40, 48)
    np.testing.assert_allclose(grid.affine @ (0, 2, 3, 1), (-20, 30 + 3 * 1.2, 100 - 2 * 0.8, 1))


def test_pictures_keep_the_order_of_their_instance_numbers(tmp_path):
    for number, name in ((2, "a"), (10, "b"), (1, "c")):
        radiograph(tmp_path / f"{name}.dcm", number=number)
    passed = gate(series_of(tmp_path))
    assert passed.grid is None
    assert [plane.name for plane in passed.planes] == ["c.dcm", "a.dcm", "b.dcm"]


def test_an_even_ultrasound_sweep_is_a_volume(tmp_path):
    stack = build_stack(series_of(sweep(tmp_path, [(0, 0, z) for z in (0, 1, 2, 3)])))
    assert isinstance(stack, VolumeStack)


def test_a_freehand_sweep_is_no_volume_and_its_pictures_are_read_all_the_same(tmp_path):
    stack = build_stack(series_of(sweep(tmp_path, [(0, 0, 0), (0, 1, 1), (2, 0, 1.2), (0, 0, 9)])))
    assert isinstance(stack, PictureStack)
    assert len(stack.planes) == 4


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_the_same_positions_refuse_a_ct_or_mr(tmp_path, modality):
    volume(tmp_path, modality=modality)[2].unlink()
    assert refusal(tmp_path).code is Code.GEOMETRY_MISSING_SLICE


def test_an_image_without_a_position_among_slices_is_named(tmp_path):
    def edit(image, index):
        if index == 2:
            del image.ImagePositionPatient

    volume(tmp_path, edit=edit)
    error = refusal(tmp_path)
    assert error.code is Code.GEOMETRY_NO_POSITION
    assert "slice002.dcm (InstanceNumber 3)" in error.message


def test_a_picture_in_a_series_of_slices_is_refused(tmp_path):
    volume(tmp_path)
    radiograph(tmp_path / "x.dcm", series=f"{ROOT}.2", number=90)
    error = refusal(tmp_path)
    assert error.code is Code.GEOMETRY_NO_POSITION
    assert "series of their own" in error.message


def test_a_colour_map_of_slices_is_refused_before_anything_is_decoded(tmp_path):
    def edit(image, _):
        image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
        image.BitsAllocated = image.BitsStored = 8
        image.PixelData = bytes(40 * 48 * 3)

    volume(tmp_path, modality="MR", edit=edit)
    assert refusal(tmp_path).code is Code.PIXELS_UNDECODABLE


def test_a_volume_too_large_for_the_memory_is_refused_by_its_header(tmp_path, monkeypatch):
    volume(tmp_path)
    monkeypatch.setattr(gate_module, "MAX_VOLUME_VOXELS", 6 * 40 * 48 - 1)
    assert refusal(tmp_path).code is Code.PIXELS_TOO_LARGE


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_series_converted_into_one_file_is_the_same_volume(tmp_path, modality):
    def edit(image, index):
        image.RescaleSlope = 1 + index

    files = volume(tmp_path / "files", modality=modality, edit=edit)
    legacy_converted(files, tmp_path / "one" / "x.dcm")
    whole, apart = (build_stack(series_of(tmp_path / name)) for name in ("one", "files"))
    np.testing.assert_array_equal(values_of(whole), values_of(apart))
    np.testing.assert_array_equal(whole.grid.affine, apart.grid.affine)


def test_the_frames_of_an_enhanced_image_may_each_have_their_own_rescale(tmp_path):
    image = pydicom.dcmread(enhanced(tmp_path / "x.dcm", shuffle=False))
    for index, frame in enumerate(image.PerFrameFunctionalGroupsSequence):
        item = pydicom.Dataset()
        item.RescaleSlope, item.RescaleIntercept, item.RescaleType = 1.0 + index, -5.0, "US"
        frame.PixelValueTransformationSequence = [item]
    save(image, tmp_path / "x.dcm")
    slopes = 1.0 + np.arange(6)
    values = values_of(build_stack(series_of(tmp_path)))
    np.testing.assert_array_equal(values, phantom() * slopes[:, None, None] - 5.0)


def test_an_enhanced_image_that_misses_a_frame_is_refused_by_frame(tmp_path):
    image = pydicom.dcmread(enhanced(tmp_path / "x.dcm", shuffle=False))
    image.PerFrameFunctionalGroupsSequence[5].PlanePositionSequence[0].ImagePositionPatient[2] += 2.5
    save(image, tmp_path / "x.dcm")
    with pytest.raises(GeometryError) as caught:
        gate(series_of(tmp_path))
    assert caught.value.code is Code.GEOMETRY_MISSING_SLICE
    assert "x.dcm frame 5 and x.dcm frame 6" in caught.value.message


def test_a_fault_of_the_files_comes_before_their_geometry(tmp_path):
    paths = volume(tmp_path)
    paths[1].write_bytes(paths[1].read_bytes()[:-10])
    assert refusal(tmp_path).code is Code.FILE_TRUNCATED


def test_an_ultrasound_loop_is_pictures(tmp_path):
    assert gate(series_of(ultrasound(tmp_path / "x.dcm", frames=3))).grid is None
