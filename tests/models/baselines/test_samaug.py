"""SAMAug: where the two points lie."""

import numpy as np
import pytest

from models.baselines.samaug import PATCH, SamAug, local_entropy, second_place
from models.errors import Code, ModelError
from tests.models.baselines.stubs import Sam, context
from tests.models.toy import BoxSegmenter, picture

SIZE = (20, 50)
RULES = ("random", "entropy", "distance", "saliency")
PEAK = (5, 40)
"""(row, column); the other way round it would lie outside the image."""


def saliency() -> np.ndarray:
    found = np.zeros(SIZE, np.float32)
    found[3:9, 36:44] = 0.7
    found[PEAK] = 1.0
    return found


def noisy() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("rule", RULES)
def test_the_first_point_is_the_saliency_maximum_and_the_second_lies_in_its_mask(rule: str) -> None:
    """The released code takes the first point from the ground truth."""
    sam = Sam(reach=6)
    mask = SamAug(rule).segment(noisy(), context(sam, saliency))
    first, both = sam.asked
    assert [(point.x, point.y, point.inside) for point in first.points] == [(40.0, 5.0, True)]
    assert both.points[0] == first.points[0]
    second = both.points[1]
    assert second.inside
    assert abs(second.x - 40) <= 6
    assert 0 <= second.y <= 11
    assert isinstance(mask, np.ndarray)
    assert mask[int(second.y), int(second.x)]
    assert mask[PEAK]


def test_distance_is_measured_with_rows_and_columns_in_their_order() -> None:
    """The released helpers compare (row, column) with (x, y)."""
    mask = np.zeros(SIZE, bool)
    mask[2:18, 2] = True
    mask[2, 2:49] = True
    rng = np.random.default_rng(0)
    place = second_place("distance", noisy(), mask, (2, 2), saliency(), rng)
    assert place == (2, 48)
    assert second_place("distance", noisy(), mask, (2, 48), saliency(), rng) == (17, 2)


def test_equal_distances_are_settled_by_reading_order() -> None:
    mask = np.zeros(SIZE, bool)
    mask[[5, 5, 15], [10, 20, 15]] = True
    rng = np.random.default_rng(0)
    assert second_place("distance", noisy(), mask, (5, 15), saliency(), rng) == (15, 15)
    mask[15, 15] = False
    assert second_place("distance", noisy(), mask, (5, 15), saliency(), rng) == (5, 10)


def test_entropy_looks_for_the_patch_that_differs_most() -> None:
    image = np.full((*SIZE, 3), 90, np.uint8)
    image[:, 25:] = noisy()[:, 25:]
    mask = np.zeros(SIZE, bool)
    mask[10, [8, 12, 40]] = True
    rng = np.random.default_rng(0)
    assert second_place("entropy", image, mask, (10, 5), saliency(), rng) == (10, 40)
    flat = second_place("entropy", image, mask, (10, 40), saliency(), rng)
    assert flat == (10, 8)


def test_entropy_is_that_of_the_patch_in_bits() -> None:
    image = noisy()
    grey = np.repeat(image[..., :1], 3, axis=2)
    half = PATCH // 2
    patch = grey[10 - half : 10 + half + 1, 20 - half : 20 + half + 1, 0]
    _, counts = np.unique(patch, return_counts=True)
    share = counts / counts.sum()
    assert local_entropy(grey)[10, 20] == pytest.approx(-(share * np.log2(share)).sum(), abs=1e-4)


def test_saliency_draws_from_the_salient_part_of_the_mask() -> None:
    mask = np.ones(SIZE, bool)
    for seed in range(20):
        row, column = second_place("saliency", noisy(), mask, PEAK, saliency(), np.random.default_rng(seed))
        assert saliency()[row, column] > 0.5


def test_saliency_outside_the_mask_leaves_the_whole_mask() -> None:
    mask = np.zeros(SIZE, bool)
    mask[15, 3] = True
    rng = np.random.default_rng(0)
    assert second_place("saliency", noisy(), mask, PEAK, saliency(), rng) == (15, 3)


@pytest.mark.parametrize("rule", RULES)
def test_points_are_reproducible_by_seed(rule: str) -> None:
    asked = []
    for _ in range(2):
        sam = Sam()
        SamAug(rule).segment(noisy(), context(sam, saliency, seed=3))
        asked.append(sam.asked)
    assert asked[0] == asked[1]


def test_different_seeds_draw_different_points() -> None:
    mask = np.ones(SIZE, bool)
    rngs = [np.random.default_rng(seed) for seed in range(5)]
    places = {second_place("random", noisy(), mask, PEAK, saliency(), rng) for rng in rngs}
    assert len(places) > 1


def test_where_the_text_means_nothing_there_is_no_point() -> None:
    sam = Sam()
    assert SamAug().segment(noisy(), context(sam, lambda: Code.TARGET_ABSENT)) == Code.TARGET_ABSENT
    assert sam.asked == []


def test_an_empty_first_mask_is_a_code() -> None:
    sam = Sam(reach=-1)
    assert SamAug().segment(noisy(), context(sam, saliency)) == Code.NO_MASK
    assert len(sam.asked) == 1


def test_a_segmenter_without_points_is_refused() -> None:
    with pytest.raises(ModelError) as refused:
        SamAug().segment(picture(*SIZE, []), context(BoxSegmenter(), saliency))
    assert refused.value.code == Code.PROMPT_KIND_UNSUPPORTED
