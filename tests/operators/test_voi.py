"""Grey values are shown as the standard says; pydicom's own functions are the reference."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut, apply_windowing
from pydicom.uid import ImplicitVRLittleEndian

from models.errors import Code, InputError
from models.intensity import WindowChoice, display
from operators.pixels import read_values
from operators.slices import slices_of
from operators.spacing import picture_spacing
from operators.stack import build_stack
from operators.study import read_folder
from operators.voi import picture_window
from tests.operators.synthetic import radiograph, volume


def ramp(folder, photometric="MONOCHROME2", bits=12, signed=False, implicit=False, **elements):
    """A radiograph of 60 x 50 pixels that holds each of its values about once."""
    levels = np.linspace(0, (1 << bits) - 1, 3000).astype(np.int64).reshape(60, 50)
    stored = levels - (1 << (bits - 1)) if signed else levels

    def edit(image, _):
        image.PhotometricInterpretation, image.PixelRepresentation = photometric, int(signed)
        image.BitsAllocated, image.BitsStored, image.HighBit = (8 if bits == 8 else 16), bits, bits - 1
        dtype = np.uint8 if bits == 8 else np.int16 if signed else np.uint16
        image.PixelData = stored.astype(dtype).tobytes()
        for keyword, value in elements.items():
            setattr(image, keyword, value)

    path = radiograph(folder / "x.dcm", edit=edit)
    if implicit:
        image = pydicom.dcmread(path)
        image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        image.save_as(path, implicit_vr=True, little_endian=True)
    return path


def plane_of(path):
    return slices_of(read_folder(path).series[0].instances[0])[0]


def view_of(path, **options):
    (series,) = read_folder(path).series
    return build_stack(series, **options).view(0)


def table(entries, first=0, bits=12, vr="US"):
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    data = [int(entry) for entry in entries] if vr == "US" else np.asarray(entries, "<u2").tobytes()
    item.add_new("LUTData", vr, data)
    return item


CURVE = (4095 * np.linspace(0, 1, 4096) ** 2.2).astype(int)


def reference(path):
    """What pydicom shows, from 0 to 255, as it is stored."""
    image = pydicom.dcmread(path)
    values = apply_modality_lut(image.pixel_array, image)
    shown = apply_voi_lut(values, image) if "VOILUTSequence" in image else apply_windowing(values, image)
    low, high = (0, 4095) if "VOILUTSequence" in image else _output_range(image)
    return 255.0 * (shown.astype(np.float64) - low) / (high - low)


def _output_range(image):
    bits = image.BitsStored
    ends = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if image.PixelRepresentation else (0, (1 << bits) - 1)
    if "ModalityLUTSequence" in image:
        return 0, (1 << image.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    return tuple(end * image.get("RescaleSlope", 1) + image.get("RescaleIntercept", 0) for end in ends)


SHOWN = {
    "linear": {"WindowCenter": 2000, "WindowWidth": 1500},
    "linear exact": {"WindowCenter": 2000, "WindowWidth": 1500, "VOILUTFunction": "LINEAR_EXACT"},
    "sigmoid": {"WindowCenter": 2000, "WindowWidth": 1500, "VOILUTFunction": "SIGMOID"},
    "first of several": {"WindowCenter": [2000, 100], "WindowWidth": [1500, 50]},
    "rescaled": {"WindowCenter": 600, "WindowWidth": 900, "RescaleSlope": 0.5, "RescaleIntercept": -300},
    "VOI LUT": {"VOILUTSequence": [table(CURVE)]},
    "VOI LUT before window": {"VOILUTSequence": [table(CURVE)], "WindowCenter": 9, "WindowWidth": 9},
    "VOI LUT as words": {"VOILUTSequence": [table(CURVE, vr="OW")]},
    "short VOI LUT": {"VOILUTSequence": [table(CURVE[:1000], first=500)]},
    "modality LUT": {
        "ModalityLUTSequence": [table(CURVE[::-1], bits=16)],
        "WindowCenter": 2000,
        "WindowWidth": 1500,
    },
}


@pytest.mark.parametrize("implicit", [False, True], ids=["explicit", "implicit"])
@pytest.mark.parametrize("name", SHOWN)
def test_a_picture_is_shown_as_pydicom_shows_it(tmp_path, name, implicit):
    path = ramp(tmp_path, implicit=implicit, **SHOWN[name])
    np.testing.assert_allclose(view_of(path).image[:, :, 0], reference(path), atol=0.51)


@pytest.mark.parametrize("name", ["linear", "sigmoid", "VOI LUT", "modality LUT"])
def test_monochrome1_is_shown_the_other_way_round(tmp_path, name):
    path = ramp(tmp_path, "MONOCHROME1", **SHOWN[name])
    np.testing.assert_allclose(view_of(path).image[:, :, 0], 255 - reference(path), atol=0.51)


def test_a_table_that_begins_below_zero_is_read_by_signed_pixels(tmp_path):
    path = ramp(tmp_path, signed=True, VOILUTSequence=[table(CURVE, first=-2048)])
    image = view_of(path).image[:, :, 0].ravel()
    assert (image[0], image[-1]) == (0, 255)
    np.testing.assert_allclose(image, reference(path).ravel(), atol=0.51)


def test_the_rule_says_what_was_used(tmp_path):
    rules = {name: view_of(ramp(tmp_path / name, **SHOWN[name])).window.rule for name in SHOWN}
    assert rules["linear"] == "VOI window of the image, centre 2000 width 1500"
    assert rules["sigmoid"].endswith("SIGMOID")
    assert rules["VOI LUT before window"] == "VOI LUT of the image, the first of 1"
    inverted = view_of(ramp(tmp_path / "m1", "MONOCHROME1", **SHOWN["linear"])).window.rule
    assert inverted.endswith(", inverted (MONOCHROME1)")


def test_8_bit_values_without_a_window_are_shown_as_they_are(tmp_path):
    path = ramp(tmp_path, bits=8)
    np.testing.assert_array_equal(view_of(path).image[:, :, 0], pydicom.dcmread(path).pixel_array)
    assert view_of(path).window.rule == "8-bit values as they are"


@pytest.mark.parametrize(
    "elements",
    [{}, {"WindowCenter": 5, "WindowWidth": 1}, {"WindowCenter": 5, "WindowWidth": -3}, {"WindowCenter": 5}],
    ids=["none", "empty", "negative", "half"],
)
def test_deep_values_without_a_usable_window_are_shown_by_percentiles(tmp_path, elements):
    view = view_of(ramp(tmp_path, **elements))
    assert view.window.rule.startswith("percentiles 0.5 to 99.5 of the values above the lowest")
    assert (view.image.min(), view.image.max()) == (0, 255)


@pytest.mark.parametrize(
    ("choice", "rule"),
    [
        (WindowChoice(centre_width=(1000.0, 500.0)), "window of the task, centre 1000 width 500"),
        (WindowChoice(percentiles=(10.0, 90.0)), "percentiles 10 to 90"),
    ],
)
def test_a_task_overrides_the_window_of_the_image(tmp_path, choice, rule):
    path = ramp(tmp_path, **SHOWN["VOI LUT before window"])
    assert view_of(path, choice=choice).window.rule.startswith(rule)


def test_a_named_ct_window_says_nothing_about_a_radiograph(tmp_path):
    path = ramp(tmp_path, **SHOWN["linear"])
    assert view_of(path, choice=WindowChoice("lung")).window == view_of(path).window


def damaged(**changes):
    item = table(CURVE)
    for keyword, value in changes.items():
        delattr(item, keyword) if value is None else setattr(item, keyword, value)
    return item


DAMAGES = [{"LUTDescriptor": None}, {"LUTData": None}, {"LUTData": [1, 2, 3]}]


@pytest.mark.parametrize("changes", DAMAGES, ids=str)
def test_a_damaged_voi_lut_is_passed_over(tmp_path, changes):
    path = ramp(tmp_path, VOILUTSequence=[damaged(**changes)], **SHOWN["linear"])
    assert view_of(path).window.rule.startswith("VOI window of the image")


@pytest.mark.parametrize("changes", DAMAGES, ids=str)
def test_values_behind_a_damaged_modality_lut_are_refused_by_name(tmp_path, changes):
    path = ramp(tmp_path, ModalityLUTSequence=[damaged(**changes)])
    with pytest.raises(InputError) as caught:
        view_of(path)
    assert caught.value.code is Code.PIXELS_UNDECODABLE
    assert "x.dcm" in caught.value.message


def test_padding_is_black_and_does_not_decide_the_window(tmp_path):
    path = ramp(tmp_path, "MONOCHROME1", PixelPaddingValue=0, PixelPaddingRangeLimit=1000)
    values = read_values(plane_of(path))
    stored = pydicom.dcmread(path).pixel_array
    np.testing.assert_array_equal(np.isnan(values), stored <= 1000)
    view = view_of(path)
    assert view.window.low > 1000
    assert not view.image[stored <= 1000].any()
    assert view.image[stored == stored[stored > 1000].min()].min() > 250


def test_hounsfield_units_look_the_same_however_they_are_printed(tmp_path):
    def edit(image, _):
        image.PhotometricInterpretation = "MONOCHROME1"

    for name, change in (("one", edit), ("other", lambda image, _: None)):
        volume(tmp_path / name, edit=change)
    images = [build_stack(read_folder(tmp_path / name).series[0]).view(2).image for name in ("one", "other")]
    np.testing.assert_array_equal(*images)


def test_a_lookup_leaves_padding_alone(tmp_path):
    plane = plane_of(ramp(tmp_path, PixelPaddingValue=0, VOILUTSequence=[table(CURVE)]))
    values, window = picture_window(plane, read_values(plane))
    assert np.isnan(values[0, 0])
    assert display(values, window)[0, 0, 0] == 0


def test_a_tomosynthesis_frame_is_shown_by_its_functional_groups(tmp_path):
    """Its rescale, window and spacing are not in the header itself."""
    path = ramp(tmp_path)
    image = pydicom.dcmread(path)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.13.1.3"
    image.Modality, image.NumberOfFrames = "MG", 2
    image.PixelData = image.PixelData * 2
    del image.ImagerPixelSpacing
    shared, rescale, window, measures = Dataset(), Dataset(), Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 2, 100, "US"
    window.WindowCenter, window.WindowWidth = 4000, 3000
    measures.PixelSpacing, measures.SliceThickness = [0.1, 0.1], 1
    shared.PixelValueTransformationSequence = [rescale]
    shared.FrameVOILUTSequence, shared.PixelMeasuresSequence = [window], [measures]
    image.SharedFunctionalGroupsSequence = [shared]
    image.save_as(path)
    stack = build_stack(read_folder(path).series[0])
    view = stack.view(1)
    assert view.window.rule == "VOI window of the image, centre 4000 width 3000"
    values = 2.0 * image.pixel_array[1] + 100
    np.testing.assert_allclose(view.image[:, :, 0], 255 * np.clip((values - 2500) / 2999, 0, 1), atol=0.51)
    assert picture_spacing(stack.planes[0]) == (0.1, 0.1)


@pytest.mark.parametrize("bits", [0, 99])
def test_a_table_of_nonsensical_depth_is_taken_for_16_bits(tmp_path, bits):
    entries = np.linspace(0, 65535, 4096)
    image = view_of(ramp(tmp_path, VOILUTSequence=[table(entries, bits=bits)])).image
    assert (image.min(), image.max()) == (0, 255)
