"""Components, their confidence and their boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.masks.components import Component, components, confident, largest, select, widen


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


def test_orthogonal_gaps_separate() -> None:
    mask = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 1]], bool)
    assert len(components(mask, np.ones((3, 3), np.float32))) == 4


@given(
    arrays(bool, (6, 8)),
    arrays(np.float32, (6, 8), elements=st.floats(0, 1, width=32)),
    st.sampled_from([0.25, 0.5, 2.0, 4.0]),
)
def test_confidence_lies_between_the_values_inside_and_scales_with_the_map(
    mask: np.ndarray, saliency: np.ndarray, factor: float
) -> None:
    found, scaled = components(mask, saliency), components(mask, saliency * np.float32(factor))
    assert sum(component.area for component in found) == mask.sum()
    for component, other in zip(found, scaled, strict=True):
        values = saliency[component.mask].astype(np.float64)
        assert values.min() - 1e-6 <= component.confidence <= values.max() + 1e-6
        assert component.confidence == pytest.approx(values.mean(), abs=1e-5)
        assert other.confidence == pytest.approx(factor * component.confidence, abs=1e-5)


def test_the_papers_rule_keeps_what_is_above_its_threshold() -> None:
    found = components(*blobs())
    assert confident(found, float("-inf")) == found
    assert confident(found, 1.0) == ()
    assert [component.area for component in confident(found, 0.5)] == [24]
    assert confident(found, found[1].confidence) == found[:1]
    assert set(map(id, confident(found[::-1], 0.2))) == set(map(id, found))


def blob(area: int) -> Component:
    return Component(np.ones((1, area), bool), (0.0, 0.0, float(area), 1.0), 0.5)


@given(st.lists(st.integers(1, 4), max_size=8), st.integers(0, 9))
def test_exactly_so_many_of_the_largest_are_kept(areas: list[int], count: int) -> None:
    """The papers' released code keeps three equal blobs for a count of 1: all among the largest areas."""
    found = tuple(blob(area) for area in areas)
    kept = largest(found, count)
    assert len(kept) == min(count, len(found))
    assert sorted((c.area for c in kept), reverse=True) == sorted(areas, reverse=True)[:count]


def test_of_equal_areas_the_first_is_kept() -> None:
    found = (blob(2), blob(3), blob(3), blob(3))
    assert [id(component) for component in largest(found, 2)] == [id(found[1]), id(found[2])]


def test_none_or_all_are_kept_at_the_ends() -> None:
    found = components(*blobs())
    assert largest(found, 0) == largest(found, -1) == ()
    assert largest(found, 2) == largest(found, 9) == found


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
