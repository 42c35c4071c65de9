import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.ensemble.framing import framed, framed_mask, framed_size, unframed

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
