"""The area filter, boxes and overlap."""

import numpy as np
from hypothesis import assume, given
from hypothesis.extra import numpy as arrays

from models.salip.regions import of_area, overlap
from tests.models.salip.stubs import rectangle, region

MASKS = arrays.arrays(bool, (7, 9))


def test_the_upper_bound_of_the_area_is_strict_and_the_lower_one_is_not() -> None:
    quarter = region(rectangle((4, 4), (0, 0, 2, 2)))
    half = region(rectangle((4, 4), (0, 0, 4, 2)))
    assert of_area((quarter, half), (0.0, 0.5)) == (quarter,)
    assert of_area((quarter, half), (0.25, 0.51)) == (quarter, half)
    assert of_area((quarter, half), (0.26, 1.1)) == (half,)


def test_areas_are_fractions_so_the_size_of_the_image_does_not_matter() -> None:
    """The paper's released code filters by pixels of a 256 x 256 image, whatever the image."""
    small = region(rectangle((4, 8), (0, 0, 4, 2)))
    large = region(np.kron(small.mask, np.ones((10, 10), bool)))
    for bound in (0.24, 0.25, 0.26):
        assert bool(of_area((small,), (0.0, bound))) == bool(of_area((large,), (0.0, bound)))


def test_no_masks_is_no_error() -> None:
    assert of_area((), (0.0, 0.5)) == ()


@given(MASKS)
def test_the_box_of_a_region_spans_the_smallest_to_the_largest_pixel(mask: np.ndarray) -> None:
    assume(mask.any())
    rows, columns = np.nonzero(mask)
    assert region(mask).box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


@given(MASKS, MASKS)
def test_overlap_is_symmetric_and_one_only_for_equal_masks(a: np.ndarray, b: np.ndarray) -> None:
    assert overlap(a, b) == overlap(b, a)
    assert 0.0 <= overlap(a, b) <= 1.0
    assert (overlap(a, b) == 1.0) == bool((a == b).all() and a.any())
