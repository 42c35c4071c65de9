"""Reliability, ECE, error retention and temperature on cases whose answer is known."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.errors import Code, DatasetError
from models.evaluation.calibration import (
    FRACTIONS,
    TEMPERATURES,
    Calibration,
    calibration,
    error_retention,
    expected_calibration_error,
    fit_temperature,
    region,
    reliability,
    retention,
    retention_area,
)
from models.uncertainty import tempered

masks = arrays(np.bool_, (9, 7))
maps = arrays(np.float32, (9, 7), elements=st.floats(0, 1, width=32))


def drawn(seed: int, temperature: float = 1.0, size: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """A probability map, and labels drawn from it after its logits were divided by ``temperature``."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.5, 0.5, (size, size)).astype(np.float32)
    return p, rng.random((size, size)) < tempered(p, temperature)


def judged(truth: np.ndarray, p: np.ndarray) -> Calibration:
    one = calibration(truth, p > 0.5, p)
    assert one is not None
    return one


def ece(*images: Calibration) -> float:
    found = expected_calibration_error(images, [str(index) for index in range(len(images))]).mean
    assert found is not None
    return found


# the region


def test_the_region_is_the_box_around_target_and_mask_a_quarter_wider_on_each_side() -> None:
    truth, mask = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    truth[40:50, 40:60], mask[50:60, 40:60] = True, True
    assert region(truth, mask) == (slice(35, 65), slice(35, 65))


@given(masks, masks)
def test_the_region_holds_target_and_mask_and_lies_on_the_image(truth: np.ndarray, mask: np.ndarray) -> None:
    where = region(truth, mask)
    if where is None:
        assert not (truth | mask).any()
        return
    assert (truth | mask)[where].sum() == (truth | mask).sum()
    assert all(0 <= side.start < side.stop <= length for side, length in zip(where, (9, 7), strict=True))


def test_an_image_without_target_and_mask_is_not_judged() -> None:
    nothing = np.zeros((10, 10), bool)
    assert calibration(nothing, nothing, np.full((10, 10), 0.2, np.float32)) is None


def test_background_far_from_the_target_makes_no_method_look_better() -> None:
    p, truth = drawn(0, size=40)
    p, truth = np.pad(p, 30), np.pad(truth, 30)
    assert judged(np.pad(truth, 500), np.pad(p, 500)) == judged(truth, p)


# reliability and ECE


def test_probabilities_that_are_frequencies_have_no_error() -> None:
    p, truth = drawn(0, size=600)
    assert ece(judged(truth, p)) < 0.01
    for point in reliability([judged(truth, p)]):
        assert point.frequency == pytest.approx(point.probability, abs=0.03)


def test_certainty_is_an_error_as_large_as_how_often_it_is_wrong() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random((300, 300)) < 0.7
    assert ece(judged(truth, np.ones((300, 300), np.float32))) == pytest.approx(0.3, abs=0.01)


def test_too_high_and_too_low_do_not_cancel() -> None:
    truth = np.zeros((20, 20), bool)
    truth[:10] = True
    p = np.where(truth, np.float32(0.8), np.float32(0.2))
    assert ece(judged(truth, p)) == pytest.approx(0.2, abs=1e-6)


@given(masks.filter(lambda mask: mask.any()), maps)
def test_ece_is_that_of_a_loop_over_bins(truth: np.ndarray, p: np.ndarray) -> None:
    where = region(truth, p > 0.5)
    inside, label = p[where].ravel().astype(np.float64), truth[where].ravel()
    expected = 0.0
    for index in range(15):
        last = index == 14
        chosen = (inside * 15 >= index) & ((inside * 15 < index + 1) | last)
        if chosen.any():
            expected += chosen.mean() * abs(inside[chosen].mean() - label[chosen].mean())
    assert ece(judged(truth, p)) == pytest.approx(expected, abs=1e-9)


def test_every_image_weighs_the_same_whatever_its_size() -> None:
    wrong, right = np.ones((10, 10), bool), np.ones((100, 100), bool)
    images = [
        judged(wrong, np.full((10, 10), 0.9, np.float32)),
        judged(right, np.ones((100, 100), np.float32)),
    ]
    assert ece(*images) == pytest.approx(0.05, abs=1e-6)
    assert sum(point.share for point in reliability(images)) == pytest.approx(1)


def test_ece_has_an_interval_by_patient_and_leaves_out_who_has_no_region() -> None:
    images = [judged(drawn(seed)[1], drawn(seed)[0]) for seed in range(6)]
    found = expected_calibration_error([*images, None], ["a", "a", "b", "b", "c", "c", "d"])
    assert (found.images, found.patients) == (6, 3)
    assert found.ci95[0] <= found.mean <= found.ci95[1]
    assert expected_calibration_error([None], ["a"]).mean is None


# error retention


def test_the_area_is_half_the_square_of_the_error_rate_where_errors_are_the_least_sure() -> None:
    wrong = np.arange(1000) >= 900
    errors, area = error_retention(wrong, np.arange(1000))
    assert area == pytest.approx(0.1**2 / 2, abs=1e-9)
    assert errors[-1] == pytest.approx(0.1)
    assert errors[FRACTIONS.index(0.9)] == pytest.approx(0)


@pytest.mark.parametrize("order", [1, -1])
def test_pixels_that_are_equally_unsure_are_in_no_order(order: int) -> None:
    wrong = (np.arange(1000) >= 900)[::order]
    errors, area = error_retention(wrong, np.zeros(1000))
    assert area == pytest.approx(0.1 / 2)
    np.testing.assert_allclose(errors, 0.1 * np.array(FRACTIONS))


@given(masks, maps)
def test_the_curve_rises_from_nothing_to_the_error_rate_within_its_bounds(
    wrong: np.ndarray, uncertainty: np.ndarray
) -> None:
    errors, area = error_retention(wrong.ravel(), uncertainty.ravel())
    rate = wrong.mean()
    assert errors[0] == 0
    assert errors[-1] == pytest.approx(rate)
    assert (np.diff(errors) >= -1e-12).all()
    assert rate**2 / 2 - 1e-9 <= area <= rate - rate**2 / 2 + 1e-9


@given(masks, maps, st.floats(0.1, 10))
def test_only_the_order_of_the_uncertainty_matters(
    wrong: np.ndarray, uncertainty: np.ndarray, factor: float
) -> None:
    ranks = np.unique(uncertainty, return_inverse=True)[1].ravel()
    areas = [error_retention(wrong.ravel(), values)[1] for values in (ranks, factor * ranks + 1)]
    assert areas[0] == pytest.approx(areas[1])


def test_curves_and_areas_of_images_are_averaged() -> None:
    images = [judged(drawn(seed)[1], drawn(seed)[0]) for seed in range(3)]
    np.testing.assert_allclose(retention(images)[-1], np.mean([image.errors[-1] for image in images]))
    found = retention_area([*images, None], ["a", "b", "c", "d"])
    assert found.mean == pytest.approx(np.mean([image.area for image in images]))
    assert found.images == 3


def test_what_is_stored_comes_back() -> None:
    one = judged(drawn(0)[1], drawn(0)[0])
    assert Calibration.read(json.loads(json.dumps(asdict(one)))) == one


# temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature: float) -> None:
    images = [drawn(seed, temperature) for seed in range(4)]
    assert fit_temperature(images) == pytest.approx(temperature, rel=0.06)


def test_a_fitted_temperature_makes_ece_smaller_and_moves_no_mask() -> None:
    fitted = fit_temperature([drawn(seed, 3.0) for seed in range(4)])
    p, truth = drawn(9, 3.0)
    after = tempered(p, fitted)
    assert ece(judged(truth, after)) < 0.2 * ece(judged(truth, p))
    assert np.array_equal(after > 0.5, p > 0.5)


def test_labels_that_are_always_right_end_at_the_smallest_temperature() -> None:
    p = np.full((20, 20), 0.8, np.float32)
    assert fit_temperature([(p, p > 0.5)]) == pytest.approx(TEMPERATURES[0], rel=0.01)


def test_no_region_is_nothing_to_fit_to() -> None:
    with pytest.raises(DatasetError, match="none of 1 images") as error:
        fit_temperature([(np.zeros((5, 5), np.float32), np.zeros((5, 5), bool))])
    assert error.value.code is Code.DATASET_INVALID
