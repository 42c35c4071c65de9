"""Computing less: slices that share a pass, and only as many members as it takes."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.ensemble.predict import InferenceSettings, predict

TILE = (16, 16)
ONCE = InferenceSettings(TILE, mirror=False)


class Counting(nn.Module):
    """Two classes from one grey value by one weight, and a count of the passes."""

    passes = 0

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        Counting.passes += 1
        return torch.cat((torch.zeros_like(images), images * self.slope), 1)


def member(slope: float) -> dict[str, Tensor]:
    return {"slope": torch.tensor([slope])}


def members(*slopes: float) -> list[partial[dict[str, Tensor]]]:
    return [partial(member, slope) for slope in slopes]


def ramp(height: int = 40, width: int = 40) -> Tensor:
    return torch.linspace(-4, 4, height * width).reshape(1, height, width)


@pytest.fixture(autouse=True)
def no_passes_yet() -> None:
    Counting.passes = 0


def test_where_there_is_no_slice_no_member_is_read() -> None:
    def read() -> dict[str, Tensor]:
        raise AssertionError

    assert predict(Counting(), [read], [], ONCE) == []


def test_slices_may_share_a_pass() -> None:
    settings = InferenceSettings(TILE, mirror=False, batch=8)
    slices = [ramp(16, 16), ramp(16, 16) / 2]
    together = predict(Counting(), members(1, 3), slices, settings)
    assert Counting.passes == 2
    alone = [predict(Counting(), members(1, 3), [pixels], settings)[0] for pixels in slices]
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one.probability, other.probability)


def anytime(converged: float, at_least: int) -> InferenceSettings:
    return InferenceSettings(TILE, mirror=False, converged=converged, at_least=at_least)


def test_members_that_agree_end_a_slice_as_soon_as_it_may_end() -> None:
    read: list[float] = []
    ten = [lambda: read.append(1) or member(2.0)] * 10
    (answer,) = predict(Counting(), ten, [ramp()], anytime(0.01, 3))
    assert answer.members == 3
    assert len(read) == 3


def test_a_slice_without_convergence_has_all_members() -> None:
    alternating = members(*[3.0, -3.0] * 5)
    (answer,) = predict(Counting(), alternating, [ramp()], anytime(1e-6, 3))
    assert answer.members == 10


def test_each_slice_ends_by_itself_and_is_the_mean_of_its_own_members() -> None:
    slopes = [3.0, 2.0, 3.5, 2.5, 3.0, 2.0, 3.0, 2.0]
    unsure, certain = ramp(), torch.full((1, 40, 40), 30.0)
    answers = predict(Counting(), members(*slopes), [unsure, certain], anytime(0.02, 2))
    assert answers[1].members == 2
    assert 2 < answers[0].members < len(slopes)
    (mean,) = predict(Counting(), members(*slopes[: answers[0].members]), [unsure], ONCE)
    assert np.array_equal(answers[0].probability, mean.probability)


def test_what_is_left_out_changes_the_map_little() -> None:
    slopes = [1.0 + (7 * index % 10) / 10 for index in range(30)]
    (early,) = predict(Counting(), members(*slopes), [ramp()], anytime(0.01, 6))
    (all_of_them,) = predict(Counting(), members(*slopes), [ramp()], ONCE)
    assert early.members < 30
    assert np.abs(early.entropy - all_of_them.entropy).max() < 0.05
