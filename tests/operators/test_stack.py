"""Stored pixels become what the method sees: rescaled, windowed, the right way up, in spatial order."""

import numpy as np
import pydicom
import pytest
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import JPEG2000, JPEG2000Lossless

from models.errors import Code, GeometryError, InputError
from models.intensity import WindowChoice
from operators.pixels import read_colour, read_values
from operators.slices import slices_of
from operators.stack import PictureStack, VolumeStack, build_stack
from operators.study import read_folder
from tests.operators.results import values_of
from tests.operators.synthetic import ROOT, enhanced, phantom, radiograph, save, ultrasound, volume


def stack_of(path, **options):
    (series,) = read_folder(path).series
    return build_stack(series, **options)


def test_a_volume_is_in_spatial_order_whatever_the_names_and_numbers(tmp_path):
    paths = volume(tmp_path, edit=lambda image, index: setattr(image, "InstanceNumber", (index * 5) % 7))
    for index, path in enumerate(paths):
        path.rename(tmp_path / f"{(index * 5) % 7}.dcm")
    stack = stack_of(tmp_path)
    assert isinstance(stack, VolumeStack)
    np.testing.assert_array_equal(values_of(stack), phantom())
    np.testing.assert_allclose(stack.grid.affine[:3, 3], (-20, 30, 100))


def test_each_slice_is_rescaled_by_its_own_slope_as_in_pet(tmp_path):
    def edit(image, index):
        image.RescaleSlope, image.RescaleIntercept = 0.125 + index, -1.5

    stack = stack_of(volume(tmp_path, edit=edit)[0].parent)
    slopes = 0.125 + np.arange(6, dtype=np.float32)
    np.testing.assert_allclose(values_of(stack), phantom() * slopes[:, None, None] - 1.5)
    assert values_of(stack).dtype == np.float32


def test_one_window_serves_all_slices_and_the_task_can_name_it(tmp_path):
    volume(tmp_path)
    assert stack_of(tmp_path).window.rule.startswith("CT soft-tissue")
    stack = stack_of(tmp_path, choice=WindowChoice("lung"))
    assert stack.view(0).window == stack.view(3).window
    assert stack.window.rule.startswith("CT lung")


def test_monochrome1_is_turned_so_that_bright_is_bright(tmp_path):
    stack = stack_of(radiograph(tmp_path / "x.dcm"))
    assert isinstance(stack, PictureStack)
    image = stack.view(0).image
    assert image[20, 10, 0] > 200
    assert image[0, 0, 0] < 50


def test_every_frame_of_an_ultrasound_loop_is_a_picture(tmp_path):
    stack = stack_of(ultrasound(tmp_path / "x.dcm", frames=4))
    assert [plane.reference for plane in stack.planes] == [f"{ROOT}.6.1#{frame}" for frame in (1, 2, 3, 4)]
    np.testing.assert_array_equal(stack.view(3).image, np.roll(stack.view(0).image, 6, axis=1))


@pytest.mark.parametrize("photometric", ["YBR_FULL", "PALETTE COLOR"])
def test_other_colour_spaces_come_out_as_rgb(tmp_path, photometric):
    path = ultrasound(tmp_path / "x.dcm")
    image = pydicom.dcmread(path)
    if photometric == "YBR_FULL":
        image.PhotometricInterpretation = photometric
        ybr = np.zeros((48, 64, 3), dtype=np.uint8)
        ybr[...] = (76, 85, 255)
        image.PixelData = ybr.tobytes()
    else:
        image.PhotometricInterpretation, image.SamplesPerPixel = photometric, 1
        del image.PlanarConfiguration
        image.PixelData = np.ones((48, 64), dtype=np.uint8).tobytes()
        for name, level in (("Red", 0xFEFE), ("Green", 0x0000), ("Blue", 0x0000)):
            image.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [2, 0, 16])
            image.add_new(f"{name}PaletteColorLookupTableData", "OW", np.array([0, level], "<u2").tobytes())
    save(image, path)
    colour = stack_of(path).view(0).image
    np.testing.assert_allclose(colour[5, 5], (254, 0, 0), atol=2)


def colourful(folder):
    """A smooth ultrasound picture in colour, 48 x 64."""
    path = ultrasound(folder / "x.dcm")
    image = pydicom.dcmread(path)
    rows, columns = np.mgrid[:48, :64]
    rgb = np.stack([rows * 5, columns * 4, 250 - rows * 5], axis=-1).astype(np.uint8)
    image.PixelData = rgb.tobytes()
    return path, image, rgb


def test_colours_by_plane_are_read_like_colours_by_pixel(tmp_path):
    path, image, rgb = colourful(tmp_path)
    image.PlanarConfiguration = 1
    image.PixelData = np.ascontiguousarray(rgb.transpose(2, 0, 1)).tobytes()
    save(image, path)
    np.testing.assert_array_equal(stack_of(path).view(0).image, rgb)


@pytest.mark.parametrize(
    ("syntax", "photometric", "error"), [(JPEG2000Lossless, "YBR_RCT", 0), (JPEG2000, "YBR_ICT", 8)]
)
def test_the_colour_transforms_of_jpeg_2000_come_out_as_rgb(tmp_path, syntax, photometric, error):
    path, image, rgb = colourful(tmp_path)
    options = {} if error == 0 else {"j2k_cr": [4]}
    image.compress(syntax, **options)
    image.PhotometricInterpretation = photometric
    save(image, path)
    np.testing.assert_allclose(stack_of(path).view(0).image.astype(int), rgb.astype(int), atol=error)


def test_halved_chroma_comes_out_as_rgb_and_is_no_short_file(tmp_path):
    path, image, rgb = colourful(tmp_path)
    ybr = convert_color_space(rgb, "RGB", "YBR_FULL")
    packed = np.empty((48, 32, 4), dtype=np.uint8)
    packed[..., 0], packed[..., 1] = ybr[:, ::2, 0], ybr[:, 1::2, 0]
    packed[..., 2], packed[..., 3] = ybr[:, ::2, 1], ybr[:, ::2, 2]
    image.PhotometricInterpretation, image.PixelData = "YBR_FULL_422", packed.tobytes()
    save(image, path)
    np.testing.assert_allclose(stack_of(path).view(0).image.astype(int), rgb.astype(int), atol=8)


def test_an_enhanced_ct_is_read_as_a_volume_by_its_frame_positions(tmp_path):
    stack = stack_of(enhanced(tmp_path / "x.dcm"))
    assert isinstance(stack, VolumeStack)
    np.testing.assert_allclose(values_of(stack), phantom() * 2.0 - 10)
    np.testing.assert_allclose(stack.grid.spacing, (2.5, 0.8, 1.2))


def test_an_enhanced_ct_of_two_phases_is_refused(tmp_path):
    path = enhanced(tmp_path / "x.dcm")
    image = pydicom.dcmread(path)
    frames = image.PerFrameFunctionalGroupsSequence
    frames[1].PlanePositionSequence = frames[0].PlanePositionSequence
    save(image, path)
    with pytest.raises(GeometryError) as caught:
        stack_of(path)
    assert caught.value.code is Code.GEOMETRY_DUPLICATE_POSITION
    assert "frame 1 and x.dcm frame 2" in caught.value.message


def test_pixels_that_no_decoder_understands_are_refused_by_name(tmp_path):
    path = radiograph(tmp_path / "x.dcm")
    image = pydicom.dcmread(path)
    image.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51garbage!"])
    image["PixelData"].is_undefined_length = True
    image.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    image.save_as(path)
    with pytest.raises(InputError) as caught:
        stack_of(path).view(0)
    assert caught.value.code is Code.PIXELS_UNDECODABLE
    assert "x.dcm" in caught.value.message


def test_a_colour_plane_is_no_value_plane_and_the_other_way_round(tmp_path):
    grey = slices_of(read_folder(radiograph(tmp_path / "g.dcm")).series[0].instances[0])[0]
    colour = slices_of(read_folder(ultrasound(tmp_path / "c.dcm")).series[0].instances[0])[0]
    with pytest.raises(InputError, match="PIXELS-UNDECODABLE"):
        read_values(colour)
    with pytest.raises(InputError, match="PIXELS-UNDECODABLE"):
        read_colour(grey)
