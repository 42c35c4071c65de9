"""The geometry gate: regular grids land on the same points in the body, all else is refused by name."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from models.errors import Code, GeometryError
from operators.geometry import build_grid
from operators.instance import Instance
from operators.slices import Slice
from tests.operators.arrangements import SIGNED_AXES


def plane(
    position, row, column, number=1, size=(4, 5), spacing=(0.7, 1.3), frame_of_reference="1.2", name=None
):
    header = Dataset()
    header.FrameOfReferenceUID, header.InstanceNumber = frame_of_reference, number
    instance = Instance(
        Path(name or f"{number}.dcm"), header, f"1.2.{number}", "1.2", "1.2", "1.2", "CT", *size, 1
    )
    orientation = None if row is None else (*row, *column)
    return Slice(
        instance, 0, None if position is None else tuple(position), orientation, spacing, 3.0, header
    )


def stack(along, row=(1, 0, 0), column=(0, 1, 0), origin=(0, 0, 0), **changes):
    normal = np.cross(row, column)
    return [
        plane(np.asarray(origin) + z * normal, row, column, number, **changes)
        for number, z in enumerate(along, start=1)
    ]


def faults_of(slices):
    with pytest.raises(GeometryError) as caught:
        build_grid(slices)
    return caught.value


def rotation(angles):
    a, b, c = angles
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return x @ y @ z


angles = st.tuples(*[st.floats(-np.pi, np.pi)] * 3)


@pytest.mark.parametrize("axes", SIGNED_AXES)
@given(angles=angles, order=st.permutations(range(5)), step=st.floats(0.3, 8))
@settings(max_examples=5, deadline=None)
def test_every_voxel_lands_where_its_own_slice_says(axes, angles, order, step):
    """Aligned, mirrored and oblique; in any order of files."""
    row, column, along = (axes @ rotation(angles).T)[[0, 1, 2]]
    origin = np.array([11.0, -7.0, 3.0])
    files = [plane(origin + k * step * along, row, column, number=k + 1) for k in range(5)]
    shuffled = [files[k] for k in order]
    grid = build_grid(shuffled)
    assert grid.shape == (5, 4, 5)
    np.testing.assert_allclose(grid.spacing, (step, 0.7, 1.3))
    for at, source in enumerate(grid.order):
        own = shuffled[source]
        for i, j in ((0, 0), (3, 0), (0, 4), (2, 3)):
            expected = np.asarray(own.position) + i * 0.7 * column + j * 1.3 * row
            np.testing.assert_allclose(grid.affine @ (at, i, j, 1), (*expected, 1), atol=1e-9)


@pytest.mark.parametrize("axes", SIGNED_AXES)
def test_slices_ascend_along_the_cross_product_of_row_and_column(axes):
    row, column, along = axes
    grid = build_grid([plane(k * 2.0 * along, row, column, number=k + 1) for k in range(4)])
    assert np.cross(row, column) @ grid.affine[:3, 0] == pytest.approx(2.0)


def test_a_single_slice_is_a_plane_as_thick_as_its_tag_says():
    grid = build_grid(stack([5.0]))
    assert grid.shape == (1, 4, 5)
    assert grid.spacing == pytest.approx((3.0, 0.7, 1.3))


@given(st.integers(3, 30), st.floats(0.3, 8), st.data())
@settings(deadline=None, max_examples=50)
def test_one_missing_slice_anywhere_inside_is_found_and_its_neighbours_named(count, step, data):
    gone = data.draw(st.integers(1, count - 1))
    slices = [
        one for one in stack([k * step for k in range(count + 1)]) if one.instance.name != f"{gone + 1}.dcm"
    ]
    error = faults_of(slices)
    if count > 2:
        assert error.code is Code.GEOMETRY_MISSING_SLICE
        assert f"between {gone}.dcm and {gone + 2}.dcm" in error.message
        assert "Missing slices: 1 " in error.message


@given(st.integers(3, 30), st.floats(0.5, 8))
@settings(deadline=None)
def test_positions_rounded_to_a_tenth_of_a_millimetre_are_still_a_grid(count, step):
    assert build_grid(stack([round(k * step, 1) for k in range(count)])).shape[0] == count


def test_a_duplicate_and_a_hole_are_both_named_with_their_files():
    error = faults_of(stack([0, 2, 2, 4, 8, 10]))
    assert error.code is Code.GEOMETRY_DUPLICATE_POSITION
    assert "2.dcm and 3.dcm" in error.message
    assert "Missing slices: 1 at a slice distance of 2.00 mm" in error.message
    assert "1 between 4.dcm and 5.dcm (InstanceNumber 4 and 5, at 4.00 and 8.00 mm)" in error.message


def test_holes_everywhere_are_found_by_the_instance_numbers():
    slices = [plane((0, 0, 2.5 * n), (1, 0, 0), (0, 1, 0), number=n) for n in (2, 5, 9, 21)]
    error = faults_of(slices)
    assert error.code is Code.GEOMETRY_MISSING_SLICE
    assert "2.50 mm" in error.message


def test_uneven_spacing_is_no_missing_slice():
    error = faults_of(stack([0, 2, 4.7, 6.1, 8.9]))
    assert error.code is Code.GEOMETRY_UNEVEN_SPACING
    assert "2.80" in error.message


@pytest.mark.parametrize("degrees", [3, 15, 30])
def test_gantry_tilt_is_seen_in_the_positions(degrees):
    shift = np.tan(np.radians(degrees))
    slices = [plane((0, 2 * k * shift, 2 * k), (1, 0, 0), (0, 1, 0), number=k + 1) for k in range(6)]
    error = faults_of(slices)
    assert error.code is Code.GEOMETRY_TILT
    assert f"{degrees}.0 degrees" in error.message


def test_a_localizer_inside_a_series_is_named():
    localizer = plane((0, 0, 0), (0, 1, 0), (0, 0, -1), number=9, name="scout.dcm")
    error = faults_of([*stack([0, 2, 4, 6]), localizer])
    assert error.code is Code.GEOMETRY_MIXED_ORIENTATION
    assert "scout.dcm" in error.message
    assert "1.dcm" not in error.message


def test_cosines_that_differ_in_the_last_digit_are_one_orientation():
    slices = stack([0, 2, 4])
    slices.append(plane((0, 0, 6), (0.9999999, 0.0004, 0), (-0.0004, 0.9999999, 0), number=4))
    assert build_grid(slices).shape[0] == 4


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"size": (8, 5)}, Code.GEOMETRY_MIXED_SIZE),
        ({"spacing": (0.5, 0.5)}, Code.GEOMETRY_MIXED_SIZE),
        ({"frame_of_reference": "1.9"}, Code.GEOMETRY_MIXED_FRAME_OF_REFERENCE),
    ],
)
def test_what_differs_in_one_slice_is_refused_by_its_own_code(change, code):
    slices = [*stack([0, 2, 4]), plane((0, 0, 6), (1, 0, 0), (0, 1, 0), number=4, name="odd.dcm", **change)]
    error = faults_of(slices)
    assert error.code is code
    assert "odd.dcm" in error.message


@pytest.mark.parametrize(
    ("position", "row", "column"),
    [
        (None, (1, 0, 0), (0, 1, 0)),
        ((0, 0, 0), None, None),
        ((0, 0, 0), (1, 0, 0), (1, 0, 0)),
        ((0, 0, 0), (2, 0, 0), (0, 1, 0)),
    ],
)
def test_a_slice_that_does_not_say_where_it_lies_is_refused(position, row, column):
    error = faults_of([*stack([2, 4]), plane(position, row, column, number=7, name="lost.dcm")])
    assert error.code is Code.GEOMETRY_NO_POSITION
    assert "lost.dcm" in error.message


def edited(one, **elements):
    """A slice with other elements in its header."""
    for keyword, value in elements.items():
        setattr(one.instance.header, keyword, value)
    return one


def test_every_fault_of_a_series_is_named_with_its_code_and_its_remedy():
    scout = plane((0, 0, 0), (0, 1, 0), (0, 0, -1), number=9, name="scout.dcm")
    lost = plane(None, (1, 0, 0), (0, 1, 0), number=10, name="lost.dcm")
    other_frame = plane(
        (0, 0, 12), (1, 0, 0), (0, 1, 0), number=7, name="frame.dcm", frame_of_reference="1.9"
    )
    larger = plane((0, 0, 14), (1, 0, 0), (0, 1, 0), number=8, name="large.dcm", size=(8, 5))
    error = faults_of([*stack([0, 2, 2, 4, 8, 10]), other_frame, larger, scout, lost])
    others = {
        Code.GEOMETRY_MIXED_ORIENTATION: "scout.dcm (InstanceNumber 9)",
        Code.GEOMETRY_MIXED_FRAME_OF_REFERENCE: "frame.dcm (InstanceNumber 7)",
        Code.GEOMETRY_MIXED_SIZE: "large.dcm (InstanceNumber 8)",
        Code.GEOMETRY_DUPLICATE_POSITION: "2.dcm and 3.dcm (InstanceNumber 2 and 3, at 2.00 and 2.00 mm)",
        Code.GEOMETRY_MISSING_SLICE: "1 between 4.dcm and 5.dcm (InstanceNumber 4 and 5, at 4.00 and 8.00",
    }
    assert error.code is Code.GEOMETRY_NO_POSITION
    assert "lost.dcm" in error.message
    for code, names in others.items():
        assert names in error.message.split(f" Also {code}: ")[1].split(" Also ")[0]
    for remedy in ("Send the missing slices.", "Send each matrix as a series of its own."):
        assert error.message.count(remedy) == 1


def test_a_message_names_ten_slices_and_counts_the_rest():
    error = faults_of(
        [edited(one, ImageType=["DERIVED", "SECONDARY", "LOCALIZER"]) for one in stack(range(14))]
    )
    assert "10.dcm" in error.message
    assert "11.dcm" not in error.message
    assert "and 4 more" in error.message


def test_a_ct_localizer_is_a_projection_and_no_slice():
    scout = edited(stack([6.0])[0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    error = faults_of([*stack([0, 2, 4]), scout])
    assert error.code is Code.GEOMETRY_LOCALIZER
    assert faults_of([scout]).code is Code.GEOMETRY_LOCALIZER


def test_slices_that_almost_share_a_position_are_duplicates_and_no_narrow_grid():
    error = faults_of(stack([0, 2, 2.04, 4, 6]))
    assert error.code is Code.GEOMETRY_DUPLICATE_POSITION
    assert "GEOMETRY-MISSING-SLICE" not in error.message


def test_a_slice_that_was_shifted_in_its_plane_is_named_though_its_distances_are_right():
    slices = [plane((3.0 * (k == 2), 0, 2 * k), (1, 0, 0), (0, 1, 0), number=k + 1) for k in range(5)]
    error = faults_of(slices)
    assert error.code is Code.GEOMETRY_UNEVEN_SPACING
    assert "3.dcm (InstanceNumber 3) by 3.00 mm" in error.message
    assert "2.dcm" not in error.message


def test_a_slice_distance_that_creeps_adds_up_and_is_refused():
    along = np.cumsum([0, *[2.0] * 20, *[2.19] * 20])
    assert faults_of(stack(along)).code is Code.GEOMETRY_UNEVEN_SPACING


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_a_slice_without_the_rescale_of_the_others_is_named(keyword):
    slices = [edited(one, RescaleSlope=1.0, RescaleIntercept=-1024.0) for one in stack([0, 2, 4])]
    delattr(slices[1].instance.header, keyword)
    error = faults_of(slices)
    assert error.code is Code.TAG_MISSING
    assert "2.dcm" in error.message
    assert "1.dcm" not in error.message


def test_slices_that_differ_in_their_rescale_or_all_lack_it_are_a_grid():
    own = [edited(one, RescaleSlope=1.0 + k, RescaleIntercept=0.0) for k, one in enumerate(stack([0, 2, 4]))]
    assert build_grid(own).shape[0] == 3
    assert build_grid(stack([0, 2, 4])).shape[0] == 3
