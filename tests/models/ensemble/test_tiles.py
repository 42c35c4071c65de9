"""nnU-Net's tiles over a slice."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.ensemble.tiles import corners, importance, padded

sides = st.integers(1, 200)
tiles = st.sampled_from([16, 32, 64])


@given(height=sides, width=sides, tile=tiles, step=st.sampled_from([0.25, 0.5, 1.0]))
def test_tiles_cover_every_pixel_of_a_padded_slice(height: int, width: int, tile: int, step: float) -> None:
    pixels, inside = padded(torch.ones(1, height, width), (tile, tile))
    assert pixels[:, *inside].shape == (1, height, width)
    assert pixels.sum() == height * width
    covered = torch.zeros(pixels.shape[1:])
    for row, column in corners(covered.shape, (tile, tile), step):
        covered[row : row + tile, column : column + tile] += importance((tile, tile))
    assert (covered > 0).all()


def test_the_middle_of_a_tile_weighs_most() -> None:
    weight = importance((32, 16))
    assert weight.argmax() == 16 * 16 + 8
    assert weight.min() > 0
    assert weight.max() == pytest.approx(10)
