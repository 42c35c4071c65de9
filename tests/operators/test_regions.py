"""Ultrasound regions: only images of the body are searched, and the answer comes back to its place."""

import io

import highdicom as hd
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from operators.findings import crop_finding
from operators.regions import search_area
from operators.segmentation import picture_segmentation
from operators.spacing import picture_spacing, pixel_shape
from operators.stack import build_stack
from operators.study import read_folder
from tests.operators.results import provenance
from tests.operators.synthetic import radiograph, save, ultrasound

ROWS, COLUMNS = 48, 64


def region(left, top, right, bottom, kind=1, units=3, delta=0.02):
    """An item of SequenceOfUltrasoundRegions; the last column and row belong to it."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = kind, 1, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta, 2 * delta
    return item


def stack_with(folder, *items, frames=1):
    path = ultrasound(folder / "x.dcm", frames=frames)
    image = pydicom.dcmread(path)
    image.SequenceOfUltrasoundRegions = list(items)
    save(image, path)
    (series,) = read_folder(path).series
    return build_stack(series)


def test_a_picture_without_regions_is_searched_as_a_whole(tmp_path):
    (series,) = read_folder(ultrasound(tmp_path / "x.dcm")).series
    view = build_stack(series).view(0)
    assert view.area is None
    assert view.searched is view.image


def test_the_method_sees_the_region_and_people_the_picture(tmp_path):
    view = stack_with(tmp_path, region(10, 8, 40, 30)).view(0)
    assert view.image.shape == (ROWS, COLUMNS, 3)
    np.testing.assert_array_equal(view.searched, view.image[8:31, 10:41])
    assert view.window.rule == (
        "8-bit values as they are; searched: 1 of 1 ultrasound regions (rows 9 to 31, columns 11 to 41)"
    )


def test_of_several_regions_the_images_are_searched_and_all_of_them_are_told(tmp_path):
    """Two images side by side, a spectrum below, a grey bar on the first image."""
    view = stack_with(
        tmp_path,
        region(4, 6, 29, 30),
        region(34, 6, 59, 30),
        region(4, 34, 59, 46, kind=3),
        region(4, 10, 6, 20, kind=0),
    ).view(0)
    seen = view.searched
    assert seen.shape == (25, 56, 3)
    assert not seen[:, 26:30].any()
    assert not seen[4:15, :3].any()
    np.testing.assert_array_equal(seen[:, 30:], view.image[6:31, 34:60])
    assert "searched: 2 of 4 ultrasound regions" in view.window.rule
    assert "rows 7 to 31, columns 5 to 30; rows 7 to 31, columns 35 to 60" in view.window.rule


def test_traces_are_searched_where_there_is_no_image(tmp_path):
    view = stack_with(tmp_path, region(4, 6, 29, 30, kind=2)).view(0)
    assert view.searched.shape == (25, 26, 3)


def test_a_region_of_text_around_an_image_does_not_black_it_out(tmp_path):
    view = stack_with(tmp_path, region(0, 0, 63, 47, kind=0), region(10, 8, 40, 30)).view(0)
    np.testing.assert_array_equal(view.searched, view.image[8:31, 10:41])


@pytest.mark.parametrize(
    "item",
    [
        region(10, 8, 127, 95),
        region(40, 8, 10, 30),
        region(10, ROWS, 40, ROWS + 1),
        region(10, 8, 40, 30, kind=5),
        Dataset(),
    ],
    ids=["of a picture twice as large", "reversed", "below the picture", "graphics only", "empty"],
)
def test_regions_that_do_not_fit_are_no_reason_to_miss_anything(tmp_path, item):
    view = stack_with(tmp_path, item).view(0)
    np.testing.assert_array_equal(view.searched, view.image)
    assert "all of the picture searched: its ultrasound regions do not fit it" in view.window.rule


def test_a_region_that_counts_from_one_is_cut_at_the_edge(tmp_path):
    view = stack_with(tmp_path, region(0, 0, COLUMNS, ROWS)).view(0)
    np.testing.assert_array_equal(view.searched, view.image)


def boxes(limit):
    return st.tuples(st.integers(0, limit - 2), st.integers(1, limit - 1)).filter(
        lambda ends: ends[0] < ends[1]
    )


@given(boxes(COLUMNS), boxes(ROWS), st.data())
@settings(max_examples=20)
def test_a_finding_comes_back_to_its_own_pixels(tmp_path_factory, columns, rows, data):
    stack = stack_with(tmp_path_factory.mktemp("us"), region(columns[0], rows[0], columns[1], rows[1]))
    view = stack.view(0)
    marked = np.zeros((ROWS, COLUMNS), dtype=np.bool_)
    row, column = data.draw(st.integers(*rows)), data.draw(st.integers(*columns))
    marked[row, column] = True
    seen = marked[view.area.frame.box][None]
    finding = crop_finding(0, view.window.rule, seen, seen.astype(np.float32), view.area)
    np.testing.assert_array_equal(finding.full_masks(ROWS, COLUMNS)[0], marked)
    np.testing.assert_array_equal(finding.full_entropy(ROWS, COLUMNS) > 0, marked)


def test_what_the_method_marks_between_the_regions_is_no_finding(tmp_path):
    view = stack_with(tmp_path, region(4, 6, 29, 30), region(34, 6, 59, 30)).view(0)
    everywhere = np.ones((1, *view.searched.shape[:2]), dtype=np.bool_)
    finding = crop_finding(0, view.window.rule, everywhere, everywhere.astype(np.float32), view.area)
    whole = finding.full_masks(ROWS, COLUMNS)[0]
    assert whole.sum() == 2 * 25 * 26
    assert not whole[:, 30:34].any()


def test_the_segmentation_of_a_region_lies_on_the_picture_and_says_where_was_searched(tmp_path):
    stack = stack_with(tmp_path, region(10, 8, 40, 30), frames=3)
    view = stack.view(2)
    masks = np.zeros((1, *view.searched.shape[:2]), dtype=np.bool_)
    masks[0, 2:5, 3:9] = True
    finding = crop_finding(2, view.window.rule, masks, masks.astype(np.float32), view.area)
    buffer = io.BytesIO()
    picture_segmentation(stack, finding, provenance()).save_as(buffer, enforce_file_format=True)
    read = hd.seg.segread(io.BytesIO(buffer.getvalue()))
    pixels = np.squeeze(read.pixel_array)
    assert pixels.shape == (ROWS, COLUMNS)
    assert np.argwhere(pixels).min(axis=0).tolist() == [10, 13]
    assert np.argwhere(pixels).max(axis=0).tolist() == [12, 18]
    algorithm = read.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert "searched: 1 of 1 ultrasound regions" in algorithm.AlgorithmParameters


def test_the_pixels_of_a_calibrated_region_have_a_size_in_millimetres(tmp_path):
    stack = stack_with(tmp_path, region(10, 8, 40, 30), region(50, 8, 60, 30, kind=0, units=0, delta=0.0))
    assert picture_spacing(stack.planes[0]) == pytest.approx((0.4, 0.2))


@pytest.mark.parametrize(
    "items",
    [
        (region(10, 8, 40, 30, units=4),),
        (region(10, 8, 40, 30, delta=0.0),),
        (region(10, 8, 30, 30), region(40, 8, 60, 30, delta=0.03)),
        (region(10, 8, 127, 95),),
    ],
    ids=["seconds", "not calibrated", "two scales", "of a picture twice as large"],
)
def test_a_size_that_is_not_one_and_certain_is_none(tmp_path, items):
    assert picture_spacing(stack_with(tmp_path, *items).planes[0]) is None


def spaced(folder, **elements):
    def edit(image, _):
        del image.ImagerPixelSpacing
        for keyword, value in elements.items():
            setattr(image, keyword, value)

    (series,) = read_folder(radiograph(folder / "x.dcm", edit=edit)).series
    return build_stack(series).planes[0]


@pytest.mark.parametrize(
    ("elements", "known", "shape"),
    [
        ({"PixelSpacing": [0.3, 0.2]}, (0.3, 0.2), (0.3, 0.2)),
        ({"PixelSpacing": [0.3, 0.2], "ImagerPixelSpacing": [0.4, 0.4]}, (0.3, 0.2), (0.3, 0.2)),
        ({"ImagerPixelSpacing": [0.15, 0.1]}, (0.15, 0.1), (0.15, 0.1)),
        ({"NominalScannedPixelSpacing": [0.1, 0.1]}, (0.1, 0.1), (0.1, 0.1)),
        ({"PixelSpacing": [0, 0], "PixelAspectRatio": [4, 3]}, None, (1.333333, 1.0)),
        ({"PixelAspectRatio": [0, 3]}, None, (1.0, 1.0)),
        ({}, None, (1.0, 1.0)),
    ],
)
def test_the_size_of_a_pixel_is_the_best_that_the_header_knows(tmp_path, elements, known, shape):
    plane = spaced(tmp_path, **elements)
    assert picture_spacing(plane) == known
    assert pixel_shape(plane) == pytest.approx(shape)


def test_pixels_that_are_not_square_are_written_as_they_are(tmp_path):
    def edit(image, _):
        del image.ImagerPixelSpacing
        image.PixelAspectRatio = [11, 12]

    (series,) = read_folder(radiograph(tmp_path / "x.dcm", edit=edit)).series
    stack = build_stack(series)
    masks = np.ones((1, 60, 50), dtype=np.bool_)
    finding = crop_finding(0, "w", masks, masks.astype(np.float32))
    buffer = io.BytesIO()
    picture_segmentation(stack, finding, provenance()).save_as(buffer, enforce_file_format=True)
    written = pydicom.dcmread(io.BytesIO(buffer.getvalue()))
    measures = written.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.PixelSpacing == pytest.approx([0.916667, 1.0])
    assert search_area(stack.planes[0]) is None
