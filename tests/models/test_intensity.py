"""Windows: which is chosen, and what it does to values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import intensity
from models.intensity import Voi, Window, WindowChoice, choose_window, display, sample


def test_ct_is_windowed_in_hounsfield_units() -> None:
    window = choose_window(np.zeros((2, 2), np.float32), "CT", WindowChoice("lung"))
    assert (window.low, window.high) == (-1350.0, 150.0)
    assert "lung" in window.rule


def test_a_radiograph_uses_its_own_window_and_mr_percentiles() -> None:
    values = np.arange(1000, dtype=np.float32).reshape(10, 100)
    assert choose_window(values, "CR", own=Voi(500.0, 200.0).window).low == 400.0
    assert choose_window(values, "MR").low < 10.0


def test_background_does_not_decide_the_percentiles() -> None:
    values = np.zeros((100, 100), np.float32)
    values[40:60, 40:60] = np.random.default_rng(0).uniform(100, 200, (20, 20))
    assert choose_window(values, "MR").low > 90


@pytest.mark.parametrize("level", [0.0, -7.5, np.nan])
def test_a_constant_or_empty_image_is_shown_without_a_fault(level: float) -> None:
    values = np.full((4, 5), level, np.float32)
    image = display(values, choose_window(values, "MR"))
    assert image.shape == (4, 5, 3)
    assert image.dtype == np.uint8


def test_display_clips_and_rounds() -> None:
    image = display(np.array([[-5.0, 0.0, 127.5, 255.0, 999.0]], np.float32), Window(0.0, 255.0, ""))
    assert image[0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_a_task_can_state_centre_and_width_for_any_modality() -> None:
    values = np.arange(100, dtype=np.float32)
    for modality in ("CT", "MR", "CR"):
        window = choose_window(values, modality, WindowChoice(centre_width=(50.0, 20.0)))
        assert (window.low, window.high) == (40.0, 60.0)
        assert window.rule == "window of the task, centre 50 width 20"


def test_percentiles_are_those_of_the_volume_and_are_told_with_what_came_of_them() -> None:
    volume = np.concatenate([np.zeros((3, 10, 10)), np.arange(1.0, 1001.0).reshape(10, 10, 10)]).astype(
        np.float32
    )
    window = choose_window(volume, "MR", WindowChoice(percentiles=(10.0, 90.0)))
    assert (window.low, window.high) == pytest.approx((100.9, 900.1))
    assert window.rule == "percentiles 10 to 90 of the values above the lowest: 100.9 to 900.1"
    assert choose_window(volume, "CT", WindowChoice(percentiles=(10.0, 90.0))) == window


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 50))
def test_a_sample_is_the_same_however_the_values_come(sizes: list[int], most: int) -> None:
    values = np.arange(sum(sizes), dtype=np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intensity, "SAMPLE", most)
        taken = sample(np.split(values, np.cumsum(sizes)[:-1]), values.size)
        np.testing.assert_array_equal(taken, sample([values], values.size))
    assert len(taken) <= most
    assert len(taken) == values.size or len(taken) > most // 2


def test_a_named_ct_window_leaves_other_modalities_their_own() -> None:
    values = np.arange(1000, dtype=np.float32)
    assert choose_window(values, "MR", WindowChoice("bone")) == choose_window(values, "MR")


@pytest.mark.parametrize("inverted", [False, True])
def test_what_is_not_finite_is_black_even_where_small_is_bright(inverted: bool) -> None:
    values = np.array([[np.nan, 0.0, 1.0]], np.float32)
    image = display(values, Window(0.0, 1.0, "", inverted=inverted))
    assert image[0, :, 0].tolist() == [0, 255 * inverted, 255 * (not inverted)]


def test_a_window_that_holds_nothing_is_none() -> None:
    assert Voi(5.0, 1.0).window is None
    assert Voi(5.0, 0.0, "SIGMOID").window is None
    assert Voi(5.0, 1.0, "LINEAR_EXACT").window is not None
