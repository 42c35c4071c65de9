"""Computing less: only regions, and only as many members as it takes."""

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


def test_a_slice_without_a_region_is_not_computed_and_says_so() -> None:
    first, second = predict(Counting(), members(1, 2), [ramp(), ramp()], ONCE, [None, (0, 0, 16, 16)])
    assert first.members == 0
    assert not first.probability.any()
    assert not first.entropy.any()
    assert not first.mutual_information.any()
    assert second.members == 2
    assert Counting.passes == 2 * 4  # a region of a tile and its margin is 18 x 18: four tiles


def test_where_no_slice_has_a_region_no_member_is_read() -> None:
    def read() -> dict[str, Tensor]:
        raise AssertionError

    (nothing,) = predict(Counting(), [read], [ramp()], ONCE, [None])
    assert nothing.members == 0


def test_only_the_region_is_computed_with_its_margin() -> None:
    (cropped,) = predict(Counting(), members(1), [ramp()], ONCE, [(10, 12, 20, 24)])
    (entire,) = predict(Counting(), members(1), [ramp()], ONCE)
    computed = np.zeros((40, 40), bool)
    computed[10:26, 7:23] = True
    difference = np.abs(cropped.probability - entire.probability)[computed]
    assert difference.max() < 0.005  # the tiles lie elsewhere, and nnU-Net's sums are of half precision
    assert not cropped.probability[~computed].any()


def test_a_region_that_is_the_slice_changes_nothing() -> None:
    (cropped,) = predict(Counting(), members(1), [ramp()], ONCE, [(0, 0, 40, 40)])
    (entire,) = predict(Counting(), members(1), [ramp()], ONCE)
    assert np.array_equal(cropped.probability, entire.probability)


def test_regions_must_be_as_many_as_slices() -> None:
    with pytest.raises(ValueError, match="argument"):
        predict(Counting(), members(1), [ramp(), ramp()], ONCE, [None])


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
