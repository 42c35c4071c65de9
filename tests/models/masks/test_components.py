"""Components, their confidence and their boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.masks.components import components, select, widen


def blobs() -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((20, 30), bool)
    mask[2:6, 3:9] = True
    mask[10:12, 20:23] = True
    saliency = np.zeros((20, 30), np.float32)
    saliency[2:6, 3:9] = 0.9
    saliency[10:12, 20:23] = 0.3
    return mask, saliency


def test_boxes_are_tight_and_half_open_with_x_first() -> None:
    found = components(*blobs())
    assert [c.box for c in found] == [(3.0, 2.0, 9.0, 6.0), (20.0, 10.0, 23.0, 12.0)]
    assert [c.area for c in found] == [24, 6]


def test_confidence_is_the_plain_mean_inside() -> None:
    assert [c.confidence for c in components(*blobs())] == pytest.approx([0.9, 0.3])


def test_diagonal_neighbours_are_one_component() -> None:
    assert len(components(np.eye(2, dtype=bool), np.ones((2, 2), np.float32))) == 1


def test_selection_by_confidence_area_and_number() -> None:
    found = components(*blobs())
    assert len(select(found, confidence=0.0, area=0.0, limit=5)) == 2
    assert len(select(found, confidence=0.5, area=0.0, limit=5)) == 1
    assert len(select(found, confidence=0.0, area=0.5, limit=5)) == 1
    assert select(found, confidence=0.0, area=0.0, limit=0) == ()
    assert select((), confidence=0.5, area=0.5, limit=3) == ()


def test_exactly_the_limit_is_kept_when_areas_are_equal() -> None:
    """The papers' released filter keeps every component whose area is among the largest: all three here."""
    mask = np.zeros((9, 3), bool)
    mask[[0, 4, 8]] = True
    assert len(select(components(mask, np.ones((9, 3), np.float32)), 0.0, 0.0, limit=1)) == 1


@given(st.floats(0, 1), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_a_widened_box_stays_on_the_image_and_unshifted_never_shrinks(
    margin: float, dx: float, dy: float
) -> None:
    box, size = (3.0, 2.0, 9.0, 6.0), (20, 30)
    x0, y0, x1, y1 = widen(box, margin, (dx, dy), size)
    assert 0 <= x0 <= x1 <= 30
    assert 0 <= y0 <= y1 <= 20
    wide = widen(box, margin, (0.0, 0.0), size)
    assert wide[0] <= box[0]
    assert wide[1] <= box[1]
    assert wide[2] >= box[2]
    assert wide[3] >= box[3]
