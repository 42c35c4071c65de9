"""Windows around regions, and nnU-Net's tiles over them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.ensemble.tiles import MARGIN, corners, importance, padded, whole, window_around

sides = st.integers(1, 200)
tiles = st.sampled_from([16, 32, 64])


@st.composite
def regions(draw: st.DrawFn) -> tuple[tuple[float, float, float, float], tuple[int, int], tuple[int, int]]:
    """A box inside a slice, the slice's size, a tile."""
    height, width = draw(sides), draw(sides)
    y0, y1 = sorted((draw(st.floats(0, height)), draw(st.floats(0, height))))
    x0, x1 = sorted((draw(st.floats(0, width)), draw(st.floats(0, width))))
    return (x0, y0, x1, y1), (height, width), (draw(tiles), draw(tiles))


@given(regions())
def test_a_window_lies_on_the_slice_and_holds_the_region_with_its_margin(given_: tuple) -> None:
    (x0, y0, x1, y1), (height, width), tile = given_
    window = window_around((x0, y0, x1, y1), (height, width), tile)
    assert 0 <= window.top <= max(0, y0 - MARGIN * tile[0])
    assert 0 <= window.left <= max(0, x0 - MARGIN * tile[1])
    assert height >= window.bottom >= min(height, y1 + MARGIN * tile[0])
    assert width >= window.right >= min(width, x1 + MARGIN * tile[1])


@given(regions())
def test_a_window_is_no_smaller_than_a_tile_where_the_slice_has_room_and_no_larger_than_it_must(
    given_: tuple,
) -> None:
    (x0, y0, x1, y1), (height, width), tile = given_
    rows, columns = window_around((x0, y0, x1, y1), (height, width), tile).size
    assert min(tile[0], height) <= rows <= max(tile[0], y1 - y0 + 2 * MARGIN * tile[0] + 2)
    assert min(tile[1], width) <= columns <= max(tile[1], x1 - x0 + 2 * MARGIN * tile[1] + 2)


def test_a_region_in_the_corner_takes_its_tile_from_the_slice() -> None:
    window = window_around((0, 0, 4, 4), (100, 100), (32, 32))
    assert (window.top, window.left, window.bottom, window.right) == (0, 0, 32, 32)


def test_a_small_region_lies_in_the_middle_of_its_tile() -> None:
    window = window_around((48, 48, 52, 52), (100, 100), (32, 32))
    assert (window.top, window.left, window.bottom, window.right) == (34, 34, 66, 66)


def test_the_whole_slice_is_a_window() -> None:
    assert whole((30, 20)).size == (30, 20)


@given(height=sides, width=sides, tile=tiles, step=st.sampled_from([0.25, 0.5, 1.0]))
def test_tiles_cover_every_pixel_of_a_padded_window(height: int, width: int, tile: int, step: float) -> None:
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
