import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter

from models.evaluation.metrics import (
    dice,
    intersection_over_union,
    pixel_auc,
    score,
    surface_dice,
    surface_dice_of_slab,
    volume_surface_dice,
)

MASKS = arrays(np.bool_, (7, 9))
MAPS = arrays(np.float32, (7, 9), elements=st.integers(0, 20).map(lambda n: n / 20))
EMPTY = np.zeros((8, 8), dtype=bool)


def disc(radius, column=64, side=128):
    rows, columns = np.mgrid[:side, :side]
    return (rows - 64) ** 2 + (columns - column) ** 2 <= radius**2


def blob(generator, shape=(20, 24)):
    noise = gaussian_filter(generator.normal(size=shape), generator.uniform(0.7, 3))
    return noise > 0.4 * noise.std()


def contour(mask, spacing):
    """Corner points where a 2 x 2 neighbourhood is mixed, with the contour's length there, one by one."""
    padded = np.pad(mask, 1)
    down, right = spacing
    half = math.hypot(down / 2, right / 2)
    points = []
    for row in range(padded.shape[0] - 1):
        for column in range(padded.shape[1] - 1):
            corner = padded[row : row + 2, column : column + 2]
            count = int(corner.sum())
            if count in (1, 3):
                length = half
            elif count == 2 and corner[0].all() | corner[1].all():
                length = right
            elif count == 2 and corner[:, 0].all() | corner[:, 1].all():
                length = down
            elif count == 2:
                length = 2 * half
            else:
                continue
            points.append((row * down, column * right, length))
    return points


def brute_force_nsd(a, b, tolerance, spacing):
    contours = contour(a, spacing), contour(b, spacing)
    near = total = 0.0
    for own, other in (contours, contours[::-1]):
        for row, column, length in own:
            distance = min(math.hypot(row - r, column - c) for r, c, _ in other)
            near += length * (distance <= tolerance)
            total += length
    return near / total


@given(MASKS, MASKS)
def test_dsc_and_iou_are_symmetric_bounded_and_tied_together(a, b):
    both, union = dice(a, b), intersection_over_union(a, b)
    assert both == dice(b, a)
    assert union == intersection_over_union(b, a)
    if both is None:
        assert union is None
        assert not a.any()
        assert not b.any()
    else:
        assert 0 <= union <= both <= 1
        assert both == pytest.approx(2 * union / (1 + union))


@given(MASKS, MASKS)
def test_dsc_counts_pixels(a, b):
    pairs = list(zip(a.ravel(), b.ravel(), strict=True))
    together = sum(1 for x, y in pairs if x and y)
    apart = sum(1 for x, y in pairs if x != y)
    assume(together + apart > 0)
    assert dice(a, b) == pytest.approx(2 * together / (2 * together + apart))
    assert intersection_over_union(a, b) == pytest.approx(together / (together + apart))


@given(MASKS)
def test_a_mask_agrees_with_itself_and_not_with_its_complement(a):
    assume(a.any())
    assert dice(a, a) == intersection_over_union(a, a) == 1
    assert dice(a, ~a) == intersection_over_union(a, ~a) == 0


@given(MASKS, MASKS, st.integers(2, 4))
def test_dsc_survives_enlargement_by_an_integer_factor(a, b, factor):
    def enlarged(mask):
        return mask.repeat(factor, axis=0).repeat(factor, axis=1)

    assert dice(enlarged(a), enlarged(b)) == dice(a, b)


@given(MASKS, MASKS, st.integers(0, 5), st.integers(0, 5))
def test_dsc_survives_translation(a, b, down, right):
    def moved(mask):
        return np.pad(mask, ((down, 5 - down), (right, 5 - right)))

    assert dice(moved(a), moved(b)) == dice(a, b)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (disc(40), disc(30), 0.0),
        (disc(40), disc(20), 0.0),
        (disc(40), disc(41), 1.0),
        (disc(30), disc(30), 1.0),
    ],
)
def test_nsd_is_that_of_the_contour_and_not_of_a_slab(a, b, expected):
    assert surface_dice(a, b) == pytest.approx(expected)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 1.3)])
@pytest.mark.parametrize("tolerance", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("seed", range(4))
def test_nsd_equals_brute_force_over_the_contours(seed, tolerance, spacing):
    generator = np.random.default_rng(seed)
    a, b = blob(generator), blob(generator)
    assert surface_dice(a, b, tolerance, spacing) == pytest.approx(
        brute_force_nsd(a, b, tolerance, spacing), abs=1e-5
    )


def test_nsd_counts_the_contour_along_the_image_border():
    whole = np.ones((6, 6), dtype=bool)
    inner = np.zeros((6, 6), dtype=bool)
    inner[1:5, 1:5] = True
    assert surface_dice(whole, inner, 0.5) == pytest.approx(
        brute_force_nsd(whole, inner, 0.5, (1, 1)), abs=1e-6
    )


@settings(deadline=None, max_examples=30)
@given(MASKS, MASKS, st.floats(0, 4), st.floats(0, 4))
def test_nsd_is_symmetric_bounded_and_grows_with_the_tolerance(a, b, one, other):
    low, high = sorted((one, other))
    values = surface_dice(a, b, low), surface_dice(b, a, low), surface_dice(a, b, high)
    if values[0] is None:
        assert not a.any()
        assert not b.any()
    else:
        assert values[0] == pytest.approx(values[1])
        assert 0 <= values[0] <= values[2] + 1e-6 <= 1 + 2e-6


@settings(deadline=None, max_examples=20)
@given(MASKS, MASKS, st.sampled_from([0.5, 2.0, 4.0]))
def test_nsd_does_not_depend_on_the_unit_of_length(a, b, factor):
    value = surface_dice(a, b, 1.5)
    assert surface_dice(a, b, 1.5 * factor, (factor, factor)) == pytest.approx(value, abs=1e-5)


def test_nsd_of_contours_further_apart_than_the_tolerance_is_zero():
    assert surface_dice(disc(10, 20), disc(10, 100)) == 0


def test_empty_masks_have_explicit_values():
    some = EMPTY.copy()
    some[2:4, 2:4] = True
    for metric in (dice, intersection_over_union, surface_dice):
        assert metric(EMPTY, EMPTY) is None
        assert metric(some, EMPTY) == metric(EMPTY, some) == 0


@given(MASKS, MAPS)
def test_auc_is_the_share_of_pixel_pairs_in_the_right_order(truth, soft):
    inside, outside = soft[truth], soft[~truth]
    value = pixel_auc(truth, soft)
    if not inside.size or not outside.size:
        assert value is None
    else:
        order = np.sign(inside[:, None] - outside[None, :])
        assert value == pytest.approx(((order + 1) / 2).mean())


@given(MASKS, MASKS)
def test_auc_of_a_binary_map_is_balanced_accuracy(truth, found):
    assume(truth.any() and not truth.all())
    balanced = (found[truth].mean() + (~found)[~truth].mean()) / 2
    assert pixel_auc(truth, found.astype(np.float32)) == pytest.approx(balanced)


@given(MASKS, MAPS)
def test_auc_survives_a_monotone_transform(truth, soft):
    assume(truth.any() and not truth.all())
    assert pixel_auc(truth, soft) == pytest.approx(pixel_auc(truth, np.exp(3 * soft) - 5))


def test_auc_of_a_constant_map_is_one_half():
    truth = EMPTY.copy()
    truth[:3] = True
    assert pixel_auc(truth, np.zeros((8, 8), dtype=np.float32)) == 0.5


@pytest.mark.parametrize("metric", [dice, intersection_over_union, surface_dice])
def test_masks_on_different_grids_are_refused(metric):
    with pytest.raises(ValueError, match="one 2-D grid"):
        metric(EMPTY, np.zeros((8, 9), dtype=bool))


def test_scores_are_zero_when_the_target_is_there_and_nothing_was_found():
    truth = EMPTY.copy()
    truth[:3] = True
    scores = score(truth, EMPTY, EMPTY.astype(np.float32))
    assert (scores.dsc, scores.nsd, scores.iou, scores.auc, scores.foreground_fraction) == (0, 0, 0, 0.5, 0)


def test_scores_are_null_exactly_when_the_truth_is_empty_but_the_foreground_is_still_measured():
    found = EMPTY.copy()
    found[:4] = True
    scores = score(EMPTY, found, found.astype(np.float32))
    assert (scores.dsc, scores.nsd, scores.iou, scores.auc) == (None, None, None, None)
    assert scores.foreground_fraction == 0.5


@pytest.mark.parametrize(
    ("a", "b", "dsc", "slab", "contour"),
    [
        (disc(40), disc(30), 0.719, 0.775, 0.0),
        (disc(40), disc(20), 0.400, 0.451, 0.0),
        (disc(30), disc(30, column=74), 0.790, 0.852, 0.193),
        (disc(40), disc(41), 0.977, 1.0, 1.0),
    ],
)
def test_the_released_nsd_counts_a_slabs_faces_and_follows_the_dsc_where_the_contours_are_far_apart(
    a, b, dsc, slab, contour
):
    assert dice(a, b) == pytest.approx(dsc, abs=5e-4)
    assert surface_dice_of_slab(a, b) == pytest.approx(slab, abs=5e-4)
    assert surface_dice(a, b) == pytest.approx(contour, abs=5e-4)


def ball(radius, spacing):
    z, y, x = np.mgrid[-12:13, -12:13, -12:13]
    down, rows, columns = spacing
    return (z * down) ** 2 + (y * rows) ** 2 + (x * columns) ** 2 <= radius**2


def test_nsd_of_volumes_measures_in_the_unit_of_the_spacing():
    spacing = (2.0, 1.0, 1.0)
    a, b = ball(10, spacing), ball(7, spacing)
    assert volume_surface_dice(a, a, 0.0, spacing) == pytest.approx(1)
    assert volume_surface_dice(a, b, 1.0, spacing) == pytest.approx(0, abs=0.02)
    assert volume_surface_dice(a, b, 5.0, spacing) == pytest.approx(1)
    doubled = tuple(2 * step for step in spacing)
    assert volume_surface_dice(a, b, 6.0, doubled) == pytest.approx(volume_surface_dice(a, b, 3.0, spacing))
    assert volume_surface_dice(a, b, 3.0, spacing) == pytest.approx(volume_surface_dice(b, a, 3.0, spacing))


def test_nsd_of_volumes_and_slabs_says_what_empty_means():
    empty, full = np.zeros((4, 5, 6), dtype=bool), np.ones((4, 5, 6), dtype=bool)
    assert volume_surface_dice(empty, empty, 1.0, (1, 1, 1)) is None
    assert volume_surface_dice(empty, full, 1.0, (1, 1, 1)) == 0
    assert surface_dice_of_slab(EMPTY, EMPTY) is None
    assert surface_dice_of_slab(EMPTY, ~EMPTY) == 0
    with pytest.raises(ValueError, match="3-D"):
        volume_surface_dice(EMPTY, EMPTY, 1.0, (1, 1, 1))
