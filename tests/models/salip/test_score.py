"""The text prototype and the scores."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.salip.score import CROPS_PER_PASS, embed_crops, prototype, similarity
from tests.models.salip.stubs import RED, ColourEncoder


def sentences() -> torch.Tensor:
    return torch.randn(5, 8, generator=torch.Generator().manual_seed(0))


def test_the_prototype_does_not_depend_on_the_order_of_the_sentences() -> None:
    order = [3, 1, 4, 0, 2]
    torch.testing.assert_close(prototype(sentences()), prototype(sentences()[order]))


def test_the_prototype_has_unit_length_and_weighs_sentences_alike() -> None:
    """The paper's released code averages vectors of any length, so that a long one counts more."""
    stretched = sentences() * torch.tensor([1.0, 50.0, 1.0, 1.0, 1.0])[:, None]
    assert float(prototype(sentences()).norm()) == pytest.approx(1.0)
    torch.testing.assert_close(prototype(stretched), prototype(sentences()))
    unnormalised = F.normalize(stretched.mean(0), dim=0)
    assert not torch.allclose(unnormalised, prototype(sentences()), atol=0.05)


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
