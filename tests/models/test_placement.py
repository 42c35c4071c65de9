"""From tokens back to the pixels of the original image."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.placement import Placement


def test_a_grid_over_the_whole_image_is_resampled_bilinearly() -> None:
    grid = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(grid[:, None], (40, 91), mode="bilinear", align_corners=False)[:, 0]
    assert np.allclose(Placement.whole(40, 91, 5, 7).on_pixels(grid), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(570, 760), (760, 570), (300, 900)])
def test_a_centre_crop_puts_an_object_back_where_it_was(height: int, width: int) -> None:
    """The released code stretches the cropped map over the full image: x = 150 of 760 comes out at 73."""
    side = min(height, width)
    x0, y0 = (width - side) / 2, (height - side) / 2
    placement = Placement(height, width, 14, 14, (x0, y0, x0 + side, y0 + side))
    grid = torch.zeros(1, 14, 14)
    grid[0, 3, 9] = 1.0
    pixels = placement.on_pixels(grid)[0]
    y, x = np.unravel_index(pixels.argmax(), pixels.shape)
    cell = side / 14
    assert abs(x + 0.5 - (x0 + 9.5 * cell)) <= 1.0
    assert abs(y + 0.5 - (y0 + 3.5 * cell)) <= 1.0


def test_what_the_encoder_never_saw_is_zero() -> None:
    pixels = Placement(100, 200, 4, 4, (50.0, 0.0, 150.0, 100.0)).on_pixels(torch.ones(1, 4, 4))[0]
    assert np.allclose(pixels[:, 50:150], 1.0)
    assert (pixels[:, :50] == 0.0).all()
    assert (pixels[:, 150:] == 0.0).all()


def test_padding_beyond_the_image_is_cut_off() -> None:
    grid = torch.zeros(1, 2, 4)
    grid[0, :, 2:] = 1.0
    pixels = Placement(10, 10, 2, 4, (0.0, 0.0, 20.0, 10.0)).on_pixels(grid)[0]
    assert pixels.shape == (10, 10)
    assert pixels[:, :7].max() == 0.0


def test_padding_has_no_saliency_and_does_not_dim_the_image() -> None:
    placement = Placement(100, 200, 4, 4, (0.0, -50.0, 200.0, 150.0))
    maps = torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(3))
    maps[:, 0] = 9.0
    bounded = placement.without_padding(maps)
    assert torch.equal(bounded[:, 1:3], maps[:, 1:3])
    assert torch.equal(bounded[:, 0].amax(1), maps[:, 1:3].amin((1, 2)))
    assert torch.equal(bounded[:, 3].amin(1), maps[:, 1:3].amin((1, 2)))


def test_a_grid_without_padding_stays_as_it_is() -> None:
    maps = torch.rand(1, 5, 7)
    assert torch.equal(Placement.whole(40, 91, 5, 7).without_padding(maps), maps)
