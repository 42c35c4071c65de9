"""One embedding for several wordings: order and length of their embeddings do not matter."""

import pytest
import torch
import torch.nn.functional as F

from models.prompts.prototype import prototype


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
