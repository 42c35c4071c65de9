"""Otsu's threshold: against brute force, and its conventions."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.masks.binarise import otsu


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


def test_a_constant_map_has_no_foreground() -> None:
    assert not otsu(np.full((4, 4), 0.7, np.float32)).any()
