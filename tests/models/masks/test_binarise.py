"""Otsu, two clusters and a fixed threshold: against brute force, and their conventions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.filters import threshold_otsu

from models.masks.binarise import fixed, otsu, two_means


def brute_force(levels: np.ndarray) -> set[int]:
    """All thresholds t (foreground above t) that minimise the variance within the two classes."""
    best, chosen = np.inf, set()
    for t in range(levels.min(), levels.max()):
        low, high = levels[levels <= t], levels[levels > t]
        within = low.var() * low.size + high.var() * high.size
        if within < best - 1e-6:
            best, chosen = within, {t}
        elif abs(within - best) <= 1e-6:
            chosen.add(t)
    return chosen


@settings(max_examples=40, deadline=None)
@given(arrays(np.uint8, (6, 7), elements=st.integers(0, 255)))
def test_foreground_is_one_that_brute_force_finds(levels: np.ndarray) -> None:
    mask = otsu(levels.astype(np.float32) / 255.0)
    if levels.min() == levels.max():
        assert not mask.any()
    else:
        assert any(np.array_equal(mask, levels > t) for t in brute_force(levels.astype(np.int64)))


def test_two_levels_split_exactly() -> None:
    saliency = np.array([[0.2, 0.2], [0.8, 0.2]], np.float32)
    assert np.array_equal(otsu(saliency), saliency > 0.5)


LEVEL_MAPS = arrays(np.uint8, (6, 7), elements=st.integers(0, 255))


def as_map(levels: np.ndarray) -> np.ndarray:
    return (levels / 255.0).astype(np.float32)


@pytest.mark.parametrize("binarise", [otsu, two_means])
@pytest.mark.parametrize("value", [0.0, 0.7, 1.0])
def test_a_constant_map_has_no_foreground(binarise, value: float) -> None:
    assert not binarise(np.full((4, 4), value, np.float32)).any()


@settings(max_examples=40, deadline=None)
@given(LEVEL_MAPS)
def test_the_foreground_is_above_skimages_threshold_and_from_the_next_level_on(levels: np.ndarray) -> None:
    """The library's convention is ``> t``, the paper's ``>= eta``: the same set for eta = t + 1."""
    if levels.min() < levels.max():
        t = threshold_otsu(levels)
        assert np.array_equal(otsu(as_map(levels)), levels > t)
        assert np.array_equal(otsu(as_map(levels)), levels >= t + 1)


def test_a_pixel_at_the_threshold_is_background() -> None:
    levels = np.array([[10, 10, 12, 200, 210]], np.uint8)
    assert threshold_otsu(levels) == 12
    assert otsu(as_map(levels)).tolist() == [[False, False, False, True, True]]


@settings(max_examples=40, deadline=None)
@given(LEVEL_MAPS, st.integers(2, 5))
def test_more_of_the_same_pixels_change_nothing(levels: np.ndarray, times: int) -> None:
    for binarise in (otsu, two_means):
        repeated = binarise(as_map(np.tile(levels, (times, 1))))
        assert np.array_equal(repeated, np.tile(binarise(as_map(levels)), (times, 1)))


@settings(max_examples=40, deadline=None)
@given(arrays(np.uint8, (6, 7), elements=st.integers(0, 155)), st.integers(0, 100))
def test_brighter_maps_are_split_at_the_same_pixels(levels: np.ndarray, shift: int) -> None:
    for binarise in (otsu, two_means):
        assert np.array_equal(binarise(as_map(levels)), binarise(as_map(levels + np.uint8(shift))))


@settings(max_examples=60, deadline=None)
@given(LEVEL_MAPS)
def test_two_means_is_the_best_of_all_splits_and_the_lowest_of_equal_ones(levels: np.ndarray) -> None:
    """The released code's k-means starts at random and may stop one level beside it."""
    mask = two_means(as_map(levels))
    if levels.min() == levels.max():
        assert not mask.any()
    else:
        assert np.array_equal(mask, levels > min(brute_force(levels.astype(np.int64))))


@settings(max_examples=40, deadline=None)
@given(LEVEL_MAPS)
def test_neither_cluster_gains_by_giving_a_pixel_to_the_other(levels: np.ndarray) -> None:
    """Lloyd's fixed point: every pixel is nearer to its own cluster's mean, and the names never swap."""
    mask, values = two_means(as_map(levels)), levels.astype(float)
    if mask.any():
        low, high = values[~mask].mean(), values[mask].mean()
        assert low < high
        assert np.all(np.abs(values[mask] - high) <= np.abs(values[mask] - low) + 1e-9)
        assert np.all(np.abs(values[~mask] - low) <= np.abs(values[~mask] - high) + 1e-9)


@settings(max_examples=40, deadline=None)
@given(LEVEL_MAPS)
def test_two_means_and_otsu_have_one_criterion(levels: np.ndarray) -> None:
    first, second = otsu(as_map(levels)), two_means(as_map(levels))
    if levels.min() < levels.max():
        within = [
            sum(levels[part].astype(float).var() * part.sum() for part in (mask, ~mask))
            for mask in (first, second)
        ]
        assert within[0] == pytest.approx(within[1], rel=1e-9, abs=1e-6)


def test_a_fixed_threshold_is_exceeded_not_reached() -> None:
    saliency = np.array([[0.25, 0.5, 0.75]], np.float32)
    assert fixed(saliency, 0.5).tolist() == [[False, False, True]]


@pytest.mark.parametrize("binarise", [otsu, two_means, lambda saliency: fixed(saliency, 0.3)])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_map_that_is_not_finite_is_refused(binarise, bad: float) -> None:
    saliency = np.full((4, 4), 0.2, np.float32)
    saliency[1, 1] = bad
    with pytest.raises(ValueError, match="not finite"):
        binarise(saliency)
    with pytest.raises(ValueError, match="not finite"):
        binarise(np.full((4, 4), bad, np.float32))


@pytest.mark.parametrize("shape", [(0, 4), (3, 4, 4), (4,)])
def test_an_array_that_is_no_map_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="saliency map is"):
        otsu(np.zeros(shape, np.float32))
