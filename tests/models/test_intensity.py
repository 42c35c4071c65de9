"""Windows: which is chosen, and what it does to values."""

import numpy as np
import pytest

from models.intensity import Window, choose_window, display


def test_ct_is_windowed_in_hounsfield_units() -> None:
    window = choose_window(np.zeros((2, 2), np.float32), "CT", "lung")
    assert (window.low, window.high) == (-1350.0, 150.0)
    assert "lung" in window.rule


def test_a_radiograph_uses_its_own_window_and_mr_percentiles() -> None:
    values = np.arange(1000, dtype=np.float32).reshape(10, 100)
    assert choose_window(values, "CR", voi=(500.0, 200.0)).low == 400.0
    assert choose_window(values, "MR", voi=(500.0, 200.0)).low < 10.0


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
