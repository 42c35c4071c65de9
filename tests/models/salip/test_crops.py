"""What CLIP is shown: only the expected pixels change, and nothing is cut."""

import numpy as np
import pytest

from models.salip.crops import GREY, RED, contours, crop, squared
from tests.models.salip.stubs import rectangle

SIZE = (40, 60)
BOX = (20, 10, 26, 30)
"""Six wide, twenty high."""


def image() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 255, (*SIZE, 3), dtype=np.uint8)


def unsquared(square: np.ndarray, height: int, width: int) -> np.ndarray:
    side = len(square)
    top, left = (side - height) // 2, (side - width) // 2
    return square[top : top + height, left : left + width]


def test_a_crop_is_the_masked_pixels_in_their_tight_box_on_the_background() -> None:
    mask = rectangle(SIZE, BOX)
    mask[15, 22] = False
    shown = crop(image(), mask, "crop", pad=10, background=7)
    assert shown.shape == (20, 20, 3)
    inner = unsquared(shown, 20, 6)
    cut = mask[10:30, 20:26]
    assert (inner[cut] == image()[10:30, 20:26][cut]).all()
    assert (inner[~cut] == 7).all()
    assert (np.delete(shown, range(7, 13), axis=1) == 7).all()


@pytest.mark.parametrize("variant", ["crop", "expand", "box", "reverse-box", "contour"])
def test_every_picture_is_square_so_that_clips_centre_crop_cuts_nothing(variant: str) -> None:
    """The paper's released code gives CLIP the oblong crop of a lung, which then loses both ends."""
    shown = crop(image(), rectangle(SIZE, (3, 0, 8, 40)), variant, pad=2, background=0)
    assert shown.shape[0] == shown.shape[1] >= 40
    assert shown.dtype == np.uint8


def test_expand_shows_the_unmasked_box_and_a_rim() -> None:
    shown = crop(image(), rectangle(SIZE, BOX), "expand", pad=3, background=0)
    assert (unsquared(shown, 26, 12) == image()[7:33, 17:29]).all()


def test_expand_is_clipped_at_the_image() -> None:
    shown = crop(image(), rectangle(SIZE, (0, 0, 5, 40)), "expand", pad=10, background=0)
    assert (unsquared(shown, 40, 15) == image()[:, :15]).all()


def test_a_box_changes_a_frame_of_five_pixels_and_nothing_else() -> None:
    shown = unsquared(crop(image(), rectangle(SIZE, (20, 10, 40, 30)), "box", 10, 0), *SIZE)
    expected = rectangle(SIZE, (18, 8, 42, 32)) & ~rectangle(SIZE, (23, 13, 37, 27))
    assert (shown[expected] == RED).all()
    assert (shown[~expected] == image()[~expected]).all()


def test_the_frame_of_a_tiny_box_stays_on_the_image() -> None:
    shown = unsquared(crop(image(), rectangle(SIZE, (0, 0, 2, 2)), "box", 10, 0), *SIZE)
    expected = rectangle(SIZE, (0, 0, 4, 4))
    assert (shown[expected] == RED).all()
    assert (shown[~expected] == image()[~expected]).all()


def test_reverse_box_blends_what_is_outside_with_grey_and_leaves_the_box() -> None:
    shown = unsquared(crop(image(), rectangle(SIZE, BOX), "reverse-box", 10, 0), *SIZE)
    inside = rectangle(SIZE, BOX)
    assert (shown[inside] == image()[inside]).all()
    halves = (image().astype(int) + np.array(GREY)) // 2
    assert (shown[~inside] == halves[~inside]).all()


def test_contours_are_three_pixels_wide_and_follow_holes() -> None:
    mask = rectangle(SIZE, (10, 5, 50, 35))
    mask[15:25, 20:40] = False
    shown = unsquared(crop(image(), mask, "contour", 10, 0), *SIZE)
    line = contours(mask)
    assert (shown[line] == RED).all()
    assert (shown[~line] == image()[~line]).all()
    assert line[20, 8:14].tolist() == [False, True, True, True, False, False]
    assert line[20, 17:24].tolist() == [False, True, True, True, False, False, False]


def test_squaring_centres_and_keeps_every_pixel() -> None:
    oblong = image()[:7]
    square = squared(oblong, 3)
    assert square.shape == (60, 60, 3)
    assert (square[26:33] == oblong).all()
    assert (np.delete(square, range(26, 33), axis=0) == 3).all()


def test_a_picture_leaves_the_image_as_it_was() -> None:
    original = image()
    for variant in ("crop", "expand", "box", "reverse-box", "contour"):
        crop(original, rectangle(SIZE, BOX), variant, 4, 0)
    assert (original == image()).all()
