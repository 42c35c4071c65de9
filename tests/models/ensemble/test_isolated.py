"""Isolated components along the slice axis, by the stated rule."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from models.ensemble.isolated import LEAST_MM, SHARE, planes_without_isolated, without_isolated

masks = arrays(np.bool_, (6, 7, 7), elements=st.sampled_from([True, False, False]))
spacings = st.sampled_from([0.5, 2.0, 4.9, 5.0, 8.0, 10.0])


def target_and_speck(slices_of_the_speck: int, side: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A target of 8 slices of 10 x 10, and a speck far from it."""
    target, speck = np.zeros((12, 40, 40), bool), np.zeros((12, 40, 40), bool)
    target[2:10, 5:15, 5:15] = True
    speck[4 : 4 + slices_of_the_speck, 25 : 25 + side, 25 : 25 + side] = True
    return target, speck


def test_what_is_thin_and_small_beside_a_target_is_taken_away() -> None:
    target, speck = target_and_speck(2)
    assert np.array_equal(without_isolated(target | speck, 2.0), target)


def test_what_reaches_over_enough_millimetres_stays_however_small() -> None:
    target, speck = target_and_speck(3)
    assert np.array_equal(without_isolated(target | speck, LEAST_MM / 3), target | speck)


def test_where_slices_are_thick_one_is_enough() -> None:
    target, speck = target_and_speck(1)
    assert np.array_equal(without_isolated(target | speck, LEAST_MM), target | speck)


def test_what_is_large_stays_however_thin() -> None:
    target, slab = target_and_speck(2, side=12)
    assert slab.sum() >= SHARE * target.sum()
    assert np.array_equal(without_isolated(target | slab, 1.0), target | slab)


def test_a_corner_is_enough_to_belong_to_a_target() -> None:
    target, _ = target_and_speck(0)
    target[10, 15, 15] = True
    assert np.array_equal(without_isolated(target, 1.0), target)


def test_a_target_of_one_slice_alone_stays() -> None:
    alone = np.zeros((5, 8, 8), bool)
    alone[2, 3:5, 3:5] = True
    assert np.array_equal(without_isolated(alone, 1.0), alone)


@given(masks, spacings)
def test_whole_components_go_and_the_largest_stays(mask: np.ndarray, spacing: float) -> None:
    kept = without_isolated(mask, spacing)
    assert not (kept & ~mask).any()
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = [int((labels == one).sum()) for one in range(1, count + 1)]
    for one in range(1, count + 1):
        assert kept[labels == one].all() or not kept[labels == one].any()
        if sizes[one - 1] == max(sizes):
            assert kept[labels == one].all()


@given(masks, spacings)
def test_applied_again_it_takes_nothing_more(mask: np.ndarray, spacing: float) -> None:
    once = without_isolated(mask, spacing)
    assert np.array_equal(without_isolated(once, spacing), once)


@given(masks, spacings)
def test_it_does_not_matter_from_which_side_the_stack_is_seen(mask: np.ndarray, spacing: float) -> None:
    turned = without_isolated(mask[::-1, :, ::-1], spacing)
    assert np.array_equal(turned[::-1, :, ::-1], without_isolated(mask, spacing))


@given(masks)
def test_thicker_slices_lose_no_more(mask: np.ndarray) -> None:
    thin, thick = (without_isolated(mask, spacing) for spacing in (2.0, 5.0))
    assert not (thin & ~thick).any()


@given(masks, spacings)
def test_single_planes_are_judged_as_the_volume_that_they_are_of(mask: np.ndarray, spacing: float) -> None:
    planes = {index: mask[index] for index in range(len(mask)) if mask[index].any()}
    kept = planes_without_isolated(planes, spacing)
    assert list(kept) == list(planes)
    volume = without_isolated(mask, spacing)
    for index, plane in kept.items():
        assert np.array_equal(plane, volume[index])


def test_no_planes_are_no_planes() -> None:
    assert planes_without_isolated({}, 1.0) == {}
