"""Volume, area, longest diameter and mean uncertainty, on shapes whose values are known."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist

from operators.findings import Findings, crop_finding
from operators.measurements import longest_diameter, measure_picture, measure_volume
from operators.stack import build_stack
from operators.study import read_folder
from tests.operators.results import asymmetric
from tests.operators.synthetic import radiograph, ultrasound, volume

masks = arrays(np.bool_, st.tuples(st.integers(1, 8), st.integers(1, 8)))
millimetres = st.floats(0.1, 5)


def stack_of(path):
    (series,) = read_folder(path).series
    return build_stack(series)


@given(st.integers(1, 12), millimetres, millimetres)
def test_a_line_is_as_long_as_its_pixels(length, row_mm, column_mm):
    line = np.ones((length, 1), dtype=np.bool_)
    diagonal = np.hypot((length - 1) * row_mm, column_mm)
    assert longest_diameter(line, (row_mm, column_mm)) == pytest.approx(max(length * row_mm, diagonal))


@pytest.mark.parametrize("radius", [10, 25.5, 60])
def test_a_disc_is_as_wide_as_its_diameter(radius):
    rows, columns = np.mgrid[-70:71, -70:71]
    disc = np.hypot(rows, columns) <= radius
    assert longest_diameter(disc, (0.7, 0.7)) == pytest.approx(1.4 * radius, abs=0.7)


def test_an_ellipse_is_measured_along_its_long_axis_on_a_grid_that_is_not_square():
    rows, columns = np.mgrid[-80:81, -80:81]
    along, across = (rows * 0.5 + columns * 2.0) / 2**0.5, (rows * 0.5 - columns * 2.0) / 2**0.5
    ellipse = (along / 20) ** 2 + (across / 8) ** 2 <= 1
    assert longest_diameter(ellipse, (0.5, 2.0)) == pytest.approx(40, abs=1.5)


@given(masks, millimetres, millimetres)
def test_it_does_not_matter_which_way_the_image_lies(mask, row_mm, column_mm):
    found = longest_diameter(mask, (row_mm, column_mm))
    assert longest_diameter(mask[::-1], (row_mm, column_mm)) == pytest.approx(found)
    assert longest_diameter(mask[:, ::-1], (row_mm, column_mm)) == pytest.approx(found)
    assert longest_diameter(mask.T, (column_mm, row_mm)) == pytest.approx(found)


@given(masks, millimetres, millimetres)
def test_it_is_never_shorter_than_between_two_centres_of_a_filled_region(mask, row_mm, column_mm):
    rows, columns = np.nonzero(mask)
    assume(len(rows) > 1)
    box = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].copy()
    box[[0, -1]] = box[:, [0, -1]] = True  # a frame makes it one region
    points = np.argwhere(box) * (row_mm, column_mm)
    assert longest_diameter(box, (row_mm, column_mm)) >= pdist(points).max()


def test_two_regions_are_not_measured_across_the_gap():
    two = np.zeros((10, 40), dtype=np.bool_)
    two[2:5, 1:7] = two[2:5, 30:38] = True
    assert longest_diameter(two, (1, 1)) == longest_diameter(two[:, 20:], (1, 1)) < 10
    assert longest_diameter(two & False, (1, 1)) == 0


def test_a_segment_of_a_volume_has_a_volume(tmp_path):
    volume(tmp_path)
    stack = stack_of(tmp_path)
    findings = asymmetric(stack, targets=2)
    measured = [measure_volume(stack, findings, target) for target in (0, 1)]
    for target, found in enumerate(measured):
        pixels = sum(int(plane.masks[target].sum()) for plane in findings.planes)
        assert (found.pixels, found.area_mm2, found.in_mm) == (pixels, None, True)
        assert found.volume_ml == pytest.approx(pixels * 2.5 * 0.8 * 1.2 / 1000)
    # the longest slice has 21 columns of 1.2 mm in 9 rows of 0.8 mm
    assert 21 * 1.2 < measured[0].diameter < np.hypot(21 * 1.2, 14 * 0.8)
    assert 0 < measured[0].uncertainty < 1


def test_uncertainty_is_the_mean_over_the_segments_own_mask():
    mask = np.zeros((2, 4, 4), dtype=np.bool_)
    mask[0, :2, :2], mask[1, 2:, 2:] = True, True
    entropy = np.zeros((2, 4, 4), dtype=np.float32)
    entropy[0], entropy[1] = 0.25, 0.75
    found = crop_finding(0, "w", mask, entropy)
    assert found.mask_entropy == (1.0, 3.0)


def test_an_absent_target_is_not_measured(tmp_path):
    volume(tmp_path)
    stack = stack_of(tmp_path)
    findings = asymmetric(stack, targets=2)
    for plane in findings.planes:
        plane.masks[1] = False
    assert measure_volume(stack, findings, 1) is None
    assert measure_volume(stack, Findings((), ()), 0) is None


def test_a_picture_has_an_area_where_its_spacing_is_known(tmp_path):
    stack = stack_of(radiograph(tmp_path / "x.dcm"))
    finding = asymmetric(stack, (0,)).planes[0]
    found = measure_picture(stack, finding, 0)
    assert (found.volume_ml, found.in_mm) == (None, True)
    assert found.area_mm2 == pytest.approx(int(finding.masks[0].sum()) * 0.04)


def test_a_picture_without_spacing_has_pixels(tmp_path):
    stack = stack_of(ultrasound(tmp_path / "x.dcm"))
    found = measure_picture(stack, asymmetric(stack, (0,)).planes[0], 0)
    assert (found.area_mm2, found.volume_ml, found.in_mm) == (None, None, False)
    assert found.pixels > 0
    assert found.diameter > 15
