"""Training on features made up here: the head learns where a word is meant, and the same each time."""

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F

from models.align.features import Features
from models.align.train import Recipe, train
from models.encoders.lite import AlignmentHead
from models.encoders.tinyvit import PYRAMID_CHANNELS, TOKEN_SIDE


def encode(sentences: Sequence[str]) -> torch.Tensor:
    """One random direction per sentence that speaks of lungs or not, with a little of its own."""
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(2, 384, generator=generator)
    rows = [
        base[int("lung" in s or "pulmonary" in s)] + 0.1 * torch.randn(384, generator=generator)
        for s in sentences
    ]
    return F.normalize(torch.stack(rows), dim=1)


def image(seed: int, shown: bool) -> Features:
    """A square of tokens with raised first channels is the lungs."""
    generator = torch.Generator().manual_seed(seed)
    pyramid = torch.randn(PYRAMID_CHANNELS, TOKEN_SIDE, TOKEN_SIDE, generator=generator)
    region = torch.zeros(TOKEN_SIDE, TOKEN_SIDE)
    if shown:
        y, x = (int(v) for v in torch.randint(2, 18, (2,), generator=generator))
        region[y : y + 10, x : x + 10] = 1.0
    pyramid[:200] += 2.0 * region
    absent = frozenset({"liver", "spleen", "breast-mass"}) | (frozenset() if shown else {"lungs"})
    regions = {"lungs": region} if shown else {}
    return Features(
        "chest_xray", str(seed), 0, 0, pyramid.half(), regions, frozenset(), absent, TOKEN_SIDE, TOKEN_SIDE
    )


RECIPE = Recipe(epochs=4, batch=4, draws=(("chest_xray", 16),))


@pytest.fixture(scope="module", params=[False, True], ids=["float32", "bfloat16"])
def head(request: pytest.FixtureRequest) -> AlignmentHead:
    features = [image(seed, shown=seed % 4 > 0) for seed in range(16)]
    return train(features, encode, RECIPE, lambda epoch, loss: None, bf16=request.param)


def test_the_word_is_found_where_it_is_meant(head: AlignmentHead) -> None:
    unseen = image(99, shown=True)
    tokens = head.unit_tokens(head.bottleneck(unseen.pyramid.float().unsqueeze(0)))
    text = head.text(encode(["the lungs", "the spleen"])).unsqueeze(0)
    lungs, spleen = head.logits(tokens, text)[0]
    inside = unseen.regions["lungs"] > 0
    assert lungs[inside].mean() > lungs[~inside].mean() + 1.0
    assert lungs[inside].mean() > spleen[inside].mean() + 1.0


def test_the_same_recipe_and_features_give_the_same_head() -> None:
    features = [image(seed, shown=seed % 4 > 0) for seed in range(16)]
    short = Recipe(epochs=1, batch=4, draws=(("chest_xray", 8),))
    first = train(features, encode, short, lambda epoch, loss: None).state_dict()
    second = train(features, encode, short, lambda epoch, loss: None).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_progress_is_told_every_epoch() -> None:
    told: list[int] = []
    short = Recipe(epochs=2, batch=4, draws=(("chest_xray", 8),))
    train(
        [image(seed, shown=True) for seed in range(8)], encode, short, lambda epoch, loss: told.append(epoch)
    )
    assert told == [0, 1]
