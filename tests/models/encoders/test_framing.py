"""From an image of any shape to the square that a vision transformer sees, and back."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from models.contracts import Pixels
from models.encoders.framing import DEVIATION, MEAN, frame

SIDE, GRID = 224, 14
sizes = st.integers(40, 500)


def patch_means(framed: Pixels) -> torch.Tensor:
    """What a tower that only averages each patch would see: (1, 14, 14), red, in grey levels."""
    red = framed.values[:1] * DEVIATION[0] + MEAN[0]
    return F.avg_pool2d(red, SIDE // GRID) * 255.0


def dot(height: int, width: int, x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    disc = (rows + 0.5 - y) ** 2 + (columns + 0.5 - x) ** 2 <= radius**2
    return np.repeat((255 * disc).astype(np.uint8)[:, :, None], 3, axis=2)


@settings(max_examples=30)
@given(sizes, sizes, st.sampled_from(["fit", "crop"]), st.sampled_from(["x", "y"]))
def test_a_map_of_where_each_patch_lies_comes_back_as_the_pixels_own_places(height, width, framing, axis):
    length = width if axis == "x" else height
    ramp = np.linspace(20, 235, length).astype(np.float32)
    picture = np.broadcast_to(ramp[None, :] if axis == "x" else ramp[:, None], (height, width))
    image = np.repeat(picture.round().astype(np.uint8)[:, :, None], 3, axis=2)
    framed = frame(image, framing, SIDE, GRID)
    back = framed.placement.on_pixels(patch_means(framed))[0]
    x0, y0, x1, y1 = framed.placement.covers
    # Half a patch inside of what the tower saw, and a patch more where the mean colour lies beside the image.
    reach = 1.6 * max(x1 - x0, y1 - y0) / GRID
    inner = np.s_[
        int(np.ceil(max(y0, 0) + reach)) : int(min(y1, height) - reach),
        int(np.ceil(max(x0, 0) + reach)) : int(min(x1, width) - reach),
    ]
    assert np.abs(back - picture)[inner].max(initial=0) < 2.0


@settings(max_examples=30)
@given(st.data(), sizes, sizes, st.sampled_from(["fit", "crop"]))
def test_an_object_comes_back_at_the_pixel_where_it_lies(data, height, width, framing):
    radius = 0.08 * min(height, width)
    half = [min(length, height, width) / 2 - 3 * radius for length in (height, width)]
    x = width / 2 + data.draw(st.floats(-half[1], half[1]))
    y = height / 2 + data.draw(st.floats(-half[0], half[0]))
    framed = frame(dot(height, width, x, y, radius), framing, SIDE, GRID)
    found = framed.placement.on_pixels(patch_means(framed).clamp_min(0.0))[0]
    if framing == "fit":  # the mean colour beside the image is not dark
        inside = frame(np.zeros((height, width, 3), np.uint8), framing, SIDE, GRID)
        found = np.abs(found - inside.placement.on_pixels(patch_means(inside))[0])
    cell = (framed.placement.covers[2] - framed.placement.covers[0]) / GRID
    weight = np.where(found > 0.2 * found.max(), found, 0.0)
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    assert abs((weight * columns).sum() / weight.sum() - x) < 0.5 * cell + 1
    assert abs((weight * rows).sum() / weight.sum() - y) < 0.5 * cell + 1


def test_the_released_code_puts_an_object_of_a_wide_image_where_it_is_not():
    """It stretches the map of the crop over the whole image: x = 150 of 760 is reported near 73."""
    image = dot(570, 760, 150.0, 285.0, 30.0)
    framed = frame(image, "crop", SIDE, GRID)
    means = patch_means(framed)
    stretched = F.interpolate(means[None], (570, 760), mode="bilinear")[0, 0].numpy()
    back = framed.placement.on_pixels(means)[0]
    columns = np.arange(760) + 0.5

    def centre(found: np.ndarray) -> float:
        return float((found * columns).sum() / found.sum())

    assert centre(np.where(stretched > 0.3 * stretched.max(), stretched, 0)) == pytest.approx(73, abs=8)
    assert centre(np.where(back > 0.3 * back.max(), back, 0)) == pytest.approx(150, abs=8)


@pytest.mark.parametrize("size", [(300, 200), (224, 224), (97, 351), (100, 80)])
def test_crop_is_what_open_clip_does(size):
    from open_clip.transform import image_transform

    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    theirs = image_transform(SIDE, is_train=False, mean=MEAN, std=DEVIATION)(Picture.fromarray(image))
    assert torch.allclose(frame(image, "crop", SIDE, GRID).values, theirs, atol=1e-6)


@settings(max_examples=30)
@given(sizes, sizes)
def test_fit_loses_nothing_and_crop_leaves_no_gap(height, width):
    image = np.full((height, width, 3), 255, np.uint8)
    x0, y0, x1, y1 = frame(image, "fit", SIDE, GRID).placement.covers
    assert x0 <= 0 <= width <= x1 + 1e-9
    assert y0 <= 0 <= height <= y1 + 1e-9
    framed = frame(image, "crop", SIDE, GRID)
    x0, y0, x1, y1 = framed.placement.covers
    assert x0 >= -1e-9
    assert y0 >= -1e-9
    assert x1 <= width + 1e-9
    assert y1 <= height + 1e-9
    assert (framed.values > 1.0).all()


def test_beside_a_fitted_image_lies_the_mean_colour():
    framed = frame(np.full((100, 200, 3), 255, np.uint8), "fit", SIDE, GRID)
    assert framed.values[:, :56].abs().max() == 0.0
    assert framed.values[:, 168:].abs().max() == 0.0
    assert framed.values[:, 56:168].min() > 1.0
    assert framed.placement.covers == (0.0, -50.0, 200.0, 150.0)


@pytest.mark.parametrize("size", [(1, 90), (90, 1), (1, 1)])
def test_the_thinnest_image_is_framed(size):
    for framing in ("fit", "crop"):
        framed = frame(np.full((*size, 3), 7, np.uint8), framing, SIDE, GRID)
        assert framed.values.shape == (3, SIDE, SIDE)
        assert framed.placement.on_pixels(torch.ones(1, GRID, GRID)).shape == (1, *size)
