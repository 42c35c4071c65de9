import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ensemble.framing import LEAST_SIDE, VIEWS, Framing, framed, framed_mask, framed_size, unframed
from models.labelled import Labelled
from tests.models.ensemble.small import disc

SIDES = st.integers(40, 300)


@given(SIDES, SIDES, st.sampled_from([32, 64, 192]))
def test_the_longer_side_becomes_the_asked_one_and_the_shape_stays(height, width, side):
    rows, columns = framed_size(height, width, side)
    assert max(rows, columns) == side
    assert abs(rows / columns - height / width) <= (height / width + 1) / min(rows, columns)


@given(SIDES, SIDES, st.floats(0.1, 0.4), st.sampled_from([64, 128]))
def test_a_mask_keeps_its_share_of_the_image(height, width, radius, side):
    """The released conversion is bicubic and takes all above zero: every object grows."""
    y, x = np.mgrid[:height, :width]
    mask = (y - height / 2) ** 2 + (x - width / 2) ** 2 < (radius * min(height, width)) ** 2
    small = framed_mask(mask, side)
    outline = 4 * radius * min(small.shape) / small.size
    assert abs(small.mean() - mask.mean()) <= outline


@given(st.integers(40, 200), st.integers(40, 200))
def test_the_way_back_lands_where_it_came_from(height, width):
    y = np.mgrid[:height, :width][0]
    plane = (y / height).astype(np.float32)
    image = np.repeat((plane * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    back = unframed(framed(image, 128).astype(np.float32) / 255, height, width)
    assert back.shape == (height, width)
    assert np.abs(back - plane).max() < 0.05


def test_colour_becomes_its_mean():
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 0] = 90
    assert (framed(image, 8) == 30).all()


@given(SIDES, SIDES, st.data())
def test_a_window_holds_its_region_and_lies_on_the_image(height, width, data):
    x0 = data.draw(st.integers(0, width - 2))
    y0 = data.draw(st.integers(0, height - 2))
    x1 = data.draw(st.integers(x0 + 1, width))
    y1 = data.draw(st.integers(y0 + 1, height))
    rows, columns = Framing(64, 0.5).window((x0, y0, x1, y1), (height, width))
    assert 0 <= rows.start <= y0
    assert y1 <= rows.stop <= height
    assert 0 <= columns.start <= x0
    assert x1 <= columns.stop <= width
    assert min(rows.stop - rows.start, columns.stop - columns.start) >= LEAST_SIDE / 2


def test_whole_images_are_seen_whole():
    assert Framing(64).window((3.0, 3.0, 5.0, 5.0), (40, 50)) == (slice(0, 40), slice(0, 50))
    item = disc("a", 0)
    assert list(Framing(64).views(item, 0)) == [item]


def test_training_sees_the_window_that_is_asked_later_and_others_of_the_same_patient():
    item = disc("a", 0, side=100, patient="p")
    first, *others = Framing(64, 0.5).views(item, 0)
    box = (item.mask.any(0).nonzero()[0], item.mask.any(1).nonzero()[0])
    region = (box[0][0], box[1][0], box[0][-1] + 1, box[1][-1] + 1)
    assert np.array_equal(first.image, item.image[Framing(64, 0.5).window(region, item.mask.shape)])
    assert len(others) == VIEWS - 1
    assert {view.patient for view in (first, *others)} == {"p"}
    assert len({view.name for view in (first, *others)}) == VIEWS
    assert len({view.image.shape for view in (first, *others)}) > 1


def test_a_view_tells_its_image_also_where_the_name_looks_like_one():
    windows = Framing(64, 0.5)
    for name in ("a", "a__b", "a__0"):
        assert {windows.seen_in(view.name) for view in windows.views(disc(name, 0), 0)} == {name}
    assert Framing(64).seen_in("a__0") == "a__0"


def test_windows_are_the_same_every_time_and_differ_by_seed():
    item = disc("a", 0, side=100)
    shapes = [[view.image.shape for view in Framing(64, 0.5).views(item, seed)] for seed in (0, 0, 1)]
    assert shapes[0] == shapes[1] != shapes[2]


def test_an_image_without_a_mask_has_no_window():
    empty = Labelled("empty", np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), bool))
    assert list(Framing(64, 0.5).views(empty, 0)) == []


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (39, 39, 40, 40), (0, 39, 40, 40)])
def test_a_tiny_region_still_shows_its_neighbourhood(box):
    rows, columns = Framing(64, 0.0).window(box, (40, 40))
    assert rows.stop - rows.start >= LEAST_SIDE / 2
    assert columns.stop - columns.start >= LEAST_SIDE / 2
