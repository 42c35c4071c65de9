"""The image tower: preprocessing, cache and placement."""

import numpy as np
import pytest
import torch

from models.bundles.bundle import load_bundle
from models.contracts import VisualPrompt
from models.encoders.tinyvit import TinyVitTower, placement_of, preprocess
from models.segmenters.litemedsam import LiteMedSam
from tests.models.toy import picture


@pytest.fixture(scope="module")
def segmenter() -> LiteMedSam:
    segmenter = load_bundle("lite").segmenter
    assert isinstance(segmenter, LiteMedSam)
    return segmenter


def test_preprocessing_scales_the_longest_side_and_pads_bottom_and_right() -> None:
    pixels = preprocess(picture(100, 200, [(0, 0, 200, 100)]) + np.uint8(1))
    assert pixels.shape == (3, 256, 256)
    assert pixels[:, 128:].abs().max() == 0.0


def test_preprocessing_a_constant_image_gives_zeros() -> None:
    assert preprocess(np.full((32, 48, 3), 9, np.uint8)).abs().max() == 0.0


@pytest.mark.parametrize(
    ("size", "tokens"), [((256, 256), (32, 32)), ((100, 200), (16, 32)), ((200, 3), (32, 1))]
)
def test_placement_covers_the_image_and_not_the_padding(
    size: tuple[int, int], tokens: tuple[int, int]
) -> None:
    place = placement_of(*size)
    assert (place.rows, place.columns) == tokens


def test_the_same_pixels_are_encoded_once(segmenter: LiteMedSam) -> None:
    image = picture(60, 80, [(10, 10, 30, 30)])
    first = segmenter.tower.encode(image)
    assert segmenter.tower.encode(image.copy()) is first
    assert segmenter.tower.encode(picture(80, 60, [(10, 10, 30, 30)])) is not first


def test_the_cache_forgets_the_oldest_when_full() -> None:
    tower = TinyVitTower(cache_bytes=1)
    first = tower.encode(picture(16, 16, [(0, 0, 4, 4)]))
    tower.encode(picture(16, 16, [(0, 0, 8, 8)]))
    assert tower.encode(picture(16, 16, [(0, 0, 4, 4)])) is not first


def test_a_box_around_a_bright_disc_becomes_that_disc(segmenter: LiteMedSam) -> None:
    rows, columns = np.mgrid[0:160, 0:240]
    disc = (rows - 70) ** 2 + (columns - 150) ** 2 < 40**2
    image = np.repeat(np.where(disc, 200, 40).astype(np.uint8)[:, :, None], 3, axis=2)
    prompt = VisualPrompt((108.0, 28.0, 192.0, 112.0))
    candidates = segmenter.decode(segmenter.embed(image), (160, 240), [prompt])
    mask = candidates.probability[0, 0] > 0.5
    assert 2 * (mask & disc).sum() / (mask.sum() + disc.sum()) > 0.9
    assert candidates.quality.shape == (1, 1)


def test_no_boxes_give_no_masks(segmenter: LiteMedSam) -> None:
    assert segmenter.decode(torch.zeros(256, 64, 64), (5, 7), []).probability.shape == (0, 1, 5, 7)
