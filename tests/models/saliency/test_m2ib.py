"""Properties of the bottleneck that hold for any encoder (MedCLIP-SAMv2, section 3.2)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.saliency.m2ib import START, M2ibSettings, information, m2ib, min_max
from tests.models.toy import ToyEncoder, picture

BRIGHT, OTHER = ToyEncoder().encode_text(["bright", "other"])


def maps_of(features, text=BRIGHT, seeds=(1,), **values) -> torch.Tensor:
    """One map per seed of one slice and one text."""
    rows = features.expand(len(seeds), *features.shape)
    return m2ib(ToyEncoder(), rows, text.expand(len(seeds), -1), seeds, M2ibSettings(**values))


def published(encoder, features, text, seed, settings) -> torch.Tensor:
    """The formulation of the paper for one row: every step complete, the map from the last forward pass."""
    generator = torch.Generator().manual_seed(seed)
    gate = torch.full_like(features, 5.0, requires_grad=True)
    optimiser = torch.optim.Adam([gate], lr=settings.rate)
    for _ in range(settings.steps):
        lam = torch.sigmoid(gate)
        mean, variance = lam * features, (1 - lam) ** 2
        kept = -0.5 * (1 + variance.log() - mean**2 - variance)
        noise = torch.randn(settings.copies, *features.shape, generator=generator)
        agreement = torch.cosine_similarity(encoder.finish(mean + variance.sqrt() * noise), text[None])
        optimiser.zero_grad()
        (settings.beta * kept.mean() - agreement.mean()).backward()
        optimiser.step()
    return kept.detach().sum(0)


@pytest.fixture
def features() -> torch.Tensor:
    return ToyEncoder().tokens(picture(64, 64, [(16, 24, 40, 40)])).values


@given(st.floats(-4, 4), st.floats(-30, 30))
def test_information_is_never_negative_and_finite(value: float, gate: float) -> None:
    kept = information(torch.tensor([value]), torch.tensor([gate]))
    assert torch.isfinite(kept).all()
    assert kept.item() >= -1e-5


def test_information_is_zero_only_where_nothing_passes() -> None:
    assert information(torch.tensor([3.0]), torch.tensor([-60.0])).item() == pytest.approx(0.0, abs=1e-6)
    assert information(torch.tensor([3.0]), torch.tensor([0.0])).item() > 0.1


def test_information_at_the_start_is_the_closed_form() -> None:
    lam = torch.sigmoid(torch.tensor(START))
    variance = (1 - lam) ** 2
    expected = -0.5 * (1 + variance.log() - lam**2 - variance)
    assert information(torch.tensor([1.0]), torch.tensor([START])).item() == pytest.approx(
        expected.item(), 1e-4
    )
    assert information(torch.tensor([0.0]), torch.tensor([START])).item() == pytest.approx(4.5, abs=0.1)


def test_the_map_is_highest_where_the_encoder_looks(features: torch.Tensor) -> None:
    saliency = maps_of(features)[0]
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[3:5, 2:5] = True
    assert saliency[inside].min() > saliency[~inside].max()


def test_a_member_depends_on_its_own_seed_only(features: torch.Tensor) -> None:
    together = maps_of(features, seeds=(1, 2, 3))
    alone = maps_of(features, seeds=(2,))
    assert torch.allclose(together[1], alone[0], atol=1e-5)
    assert not torch.equal(together[0], together[1])


@pytest.mark.parametrize("settings", [M2ibSettings(), M2ibSettings(beta=1.0, steps=3, copies=10)])
def test_the_map_is_that_of_the_published_formulation(features: torch.Tensor, settings: M2ibSettings) -> None:
    ours = m2ib(ToyEncoder(), features[None], BRIGHT[None], [11], settings)[0]
    torch.testing.assert_close(
        ours, published(ToyEncoder(), features, BRIGHT, 11, settings), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_rows_of_other_slices_and_prompts_change_nothing(batch: int) -> None:
    slices = [ToyEncoder().tokens(picture(64, 64, [box])).values for box in [(0, 0, 9, 9), (16, 24, 40, 40)]]
    rows = torch.stack([slices[0], slices[1], slices[1]])
    texts = torch.stack([BRIGHT, OTHER, BRIGHT])
    together = m2ib(ToyEncoder(), rows, texts, [1, 2, 3], M2ibSettings(batch=batch))
    alone = [maps_of(rows[i], texts[i], (i + 1,))[0] for i in range(3)]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=1e-5)


def test_no_rows_give_no_maps() -> None:
    assert m2ib(ToyEncoder(), torch.zeros(0, 6, 8, 8), torch.zeros(0, 6), [], M2ibSettings()).shape == (
        0,
        8,
        8,
    )


def test_rows_that_do_not_pair_are_refused(features: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="do not pair"):
        m2ib(ToyEncoder(), features[None], BRIGHT[None], [1, 2], M2ibSettings())


def test_only_what_reaches_the_map_is_computed(features: torch.Tensor) -> None:
    passes = []

    class Counting(ToyEncoder):
        def finish(self, tokens: torch.Tensor) -> torch.Tensor:
            passes.append(len(tokens))
            return super().finish(tokens)

    m2ib(Counting(), features[None], BRIGHT[None], [1], M2ibSettings(steps=10, copies=4))
    assert passes == [4] * 9


def test_the_same_seed_gives_the_same_map(features: torch.Tensor) -> None:
    assert torch.equal(maps_of(features, seeds=(7,)), maps_of(features, seeds=(7,)))


def test_less_information_passes_as_beta_grows(features: torch.Tensor) -> None:
    totals = [maps_of(features, beta=beta).sum().item() for beta in (0.0, 0.1, 1.0, 10.0)]
    assert totals == sorted(totals, reverse=True)


def test_a_map_fills_zero_to_one_and_a_constant_map_is_empty() -> None:
    maps = min_max(torch.stack([torch.arange(6.0).reshape(2, 3), torch.full((2, 3), 4.0)]))
    assert maps[0].min() == 0.0
    assert maps[0].max() == 1.0
    assert torch.equal(maps[1], torch.zeros(2, 3))


def test_a_constant_image_gives_a_finite_map() -> None:
    assert torch.isfinite(maps_of(torch.zeros(6, 8, 8))).all()
