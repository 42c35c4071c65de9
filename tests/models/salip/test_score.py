"""How well crops agree with a text."""

import numpy as np
import torch

from models.salip.score import CROPS_PER_PASS, embed_crops, similarity
from tests.models.salip.stubs import RED, ColourEncoder


def test_a_score_is_a_hundred_times_the_cosine() -> None:
    rows = torch.tensor([[2.0, 0.0], [3.0, 3.0], [0.0, -1.0]])
    expected = [100.0, 100.0 / 2**0.5, 0.0]
    np.testing.assert_allclose(similarity(rows, torch.tensor([5.0, 0.0])), expected, atol=1e-4)


def test_one_crop_gives_one_score() -> None:
    """The paper's released code crashes on a single crop."""
    crops = [np.full((5, 5, 3), (200, 0, 0), np.uint8)]
    assert similarity(embed_crops(ColourEncoder(), crops), RED).shape == (1,)


def test_crops_of_any_size_and_number_are_scored_in_their_order() -> None:
    shades = np.linspace(0, 255, CROPS_PER_PASS * 2 + 3).astype(np.uint8)
    crops = [
        np.full((index % 7 + 1, index % 7 + 1, 3), (shade, 255 - shade, 0), np.uint8)
        for index, shade in enumerate(shades)
    ]
    scores = similarity(embed_crops(ColourEncoder(), crops), RED)
    assert (np.diff(scores) > 0).all()
    assert len(scores) == len(crops)
