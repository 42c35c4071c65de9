"""Properties of the bottleneck that hold for any encoder (algorithms of the papers, section 2.1)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.saliency.m2ib import START, M2ibSettings, information, m2ib, min_max
from tests.models.toy import ToyEncoder, picture

TEXT = ToyEncoder().encode_text(["bright"])[0]


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
    saliency = m2ib(ToyEncoder(), features, TEXT, [1], M2ibSettings())[0]
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[3:5, 2:5] = True
    assert saliency[inside].min() > saliency[~inside].max()


def test_a_member_depends_on_its_own_seed_only(features: torch.Tensor) -> None:
    settings = M2ibSettings()
    together = m2ib(ToyEncoder(), features, TEXT, [1, 2, 3], settings)
    alone = m2ib(ToyEncoder(), features, TEXT, [2], settings)
    assert torch.allclose(together[1], alone[0], atol=1e-5)
    assert not torch.equal(together[0], together[1])


def test_the_same_seed_gives_the_same_map(features: torch.Tensor) -> None:
    first = m2ib(ToyEncoder(), features, TEXT, [7], M2ibSettings())
    assert torch.equal(first, m2ib(ToyEncoder(), features, TEXT, [7], M2ibSettings()))


def test_less_information_passes_as_beta_grows(features: torch.Tensor) -> None:
    totals = [
        m2ib(ToyEncoder(), features, TEXT, [1], M2ibSettings(beta=beta)).sum().item()
        for beta in (0.0, 0.1, 1.0, 10.0)
    ]
    assert totals == sorted(totals, reverse=True)


def test_a_map_fills_zero_to_one_and_a_constant_map_is_empty() -> None:
    maps = min_max(torch.stack([torch.arange(6.0).reshape(2, 3), torch.full((2, 3), 4.0)]))
    assert maps[0].min() == 0.0
    assert maps[0].max() == 1.0
    assert torch.equal(maps[1], torch.zeros(2, 3))


def test_a_constant_image_gives_a_finite_map() -> None:
    values = torch.zeros(6, 8, 8)
    assert torch.isfinite(m2ib(ToyEncoder(), values, TEXT, [1], M2ibSettings())).all()
