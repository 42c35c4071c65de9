import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.statistics import estimate

SCORES = st.lists(st.floats(0, 1), min_size=2, max_size=30)


@settings(deadline=None, max_examples=25)
@given(SCORES)
def test_the_interval_lies_around_the_mean_and_within_the_values(values):
    found = estimate(values, [str(index) for index in range(len(values))])
    low, high = found.ci95
    assert found.mean == pytest.approx(np.mean(values))
    assert min(values) - 1e-12 <= low <= high <= max(values) + 1e-12
    assert low - 1e-9 <= found.mean <= high + 1e-9


def test_the_interval_of_many_independent_images_is_that_of_the_central_limit_theorem():
    values = np.random.default_rng(3).normal(0.7, 0.1, size=400)
    low, high = estimate(values.tolist(), [str(index) for index in range(400)]).ci95
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_copies_of_a_patients_images_do_not_make_the_interval_narrower():
    values = [0.2, 0.5, 0.9, 0.7]
    patients = ["p", "q", "r", "s"]
    assert estimate(values * 10, patients * 10).ci95 == pytest.approx(estimate(values, patients).ci95)
    alone = estimate(values * 10, [str(index) for index in range(40)]).ci95
    together = estimate(values * 10, patients * 10).ci95
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


def test_the_mean_weighs_images_and_not_patients():
    assert estimate([1.0, 1.0, 1.0, 0.0], ["p", "p", "p", "q"]).mean == 0.75


def test_the_same_values_give_the_same_interval_again():
    values, patients = [0.1, 0.4, 0.8], ["p", "q", "r"]
    assert estimate(values, patients) == estimate(values, patients)


def test_values_that_do_not_exist_are_left_out_and_counted_out():
    found = estimate([0.5, None, 0.7], ["p", "q", "r"])
    assert (found.mean, found.images, found.patients) == (pytest.approx(0.6), 2, 2)


def test_one_patient_has_a_mean_but_no_interval():
    found = estimate([0.5, 0.7], ["p", "p"])
    assert (found.mean, found.ci95) == (pytest.approx(0.6), None)


def test_no_values_have_neither():
    found = estimate([None, None], ["p", "q"])
    assert (found.mean, found.ci95, found.images) == (None, None, 0)


def test_a_value_without_a_patient_is_an_error():
    with pytest.raises(ValueError):
        estimate([0.5, 0.7], ["p"])
