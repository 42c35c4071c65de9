"""The ensemble's answer: nnU-Net's own for each member, and the mean of their probabilities."""

import copy
import weakref
from collections.abc import Mapping
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.ensemble.predict import EnsemblePrediction, InferenceSettings, LoadMember, predict
from models.errors import Code, ModelError
from tests.models.ensemble.nnunet import TINY, Upstream, member_of, network_of

TILE = (32, 32)
SETTINGS = InferenceSettings(TILE)
ONCE = InferenceSettings(TILE, mirror=False)


def slice_of(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(1, height, width, generator=torch.Generator().manual_seed(seed))


SLICES = [slice_of(50, 41), slice_of(20, 60)]
"""One larger than a tile, one whose height needs padding."""


def give(*members: Mapping[str, Tensor]) -> list[LoadMember]:
    return [partial(dict, member) for member in members]


@pytest.fixture(scope="module")
def members() -> list[dict[str, Tensor]]:
    return [member_of(TINY, seed) for seed in range(4)]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return network_of(TINY, seed=99)


def largest_difference(predictions: list[EnsemblePrediction], expected: list[Tensor]) -> float:
    return max(
        float((torch.from_numpy(prediction.probability) - one).abs().max())
        for prediction, one in zip(predictions, expected, strict=True)
    )


def mean_of_single_runs(upstream: Upstream, members: list[dict[str, Tensor]]) -> list[Tensor]:
    runs = [upstream.probability(SLICES, [member]) for member in members]
    return [torch.stack(of_slice).mean(0) for of_slice in zip(*runs, strict=True)]


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("batch", [1, 4])
def test_the_probability_is_the_mean_over_single_runs_of_nnunet(
    network: nn.Module, members: list[dict[str, Tensor]], mirror: bool, batch: int
) -> None:
    settings = InferenceSettings(TILE, mirror=mirror, batch=batch)
    expected = mean_of_single_runs(Upstream(TINY, mirror=mirror), members)
    assert largest_difference(predict(network, give(*members), SLICES, settings), expected) < 1e-3


def test_nnunet_given_several_checkpoints_averages_logits_which_is_another_number(
    network: nn.Module, members: list[dict[str, Tensor]]
) -> None:
    of_logits = Upstream(TINY).probability(SLICES, members)
    assert largest_difference(predict(network, give(*members), SLICES, SETTINGS), of_logits) > 0.1


def test_the_maps_equal_a_stacked_reference_in_double_precision(
    network: nn.Module, members: list[dict[str, Tensor]]
) -> None:
    def h(p: np.ndarray) -> np.ndarray:
        return -p * np.log2(p) - (1 - p) * np.log2(1 - p)

    alone = [predict(network, give(member), SLICES, SETTINGS) for member in members]
    for index, together in enumerate(predict(network, give(*members), SLICES, SETTINGS)):
        stack = np.stack([run[index].probability for run in alone]).astype(np.float64)
        np.testing.assert_allclose(together.probability, stack.mean(0), atol=1e-6)
        np.testing.assert_allclose(together.entropy, h(stack.mean(0)), atol=1e-6)
        expected = h(stack.mean(0)) - h(stack).mean(0)
        np.testing.assert_allclose(together.mutual_information, expected, atol=1e-6)
        assert together.members == len(members)


def test_the_order_of_members_does_not_matter(network: nn.Module, members: list[dict[str, Tensor]]) -> None:
    forwards, backwards = (predict(network, give(*row), SLICES, ONCE) for row in (members, members[::-1]))
    np.testing.assert_allclose(forwards[0].probability, backwards[0].probability, atol=1e-7)
    np.testing.assert_allclose(forwards[0].mutual_information, backwards[0].mutual_information, atol=1e-6)


def test_members_that_are_the_same_are_one_member(
    network: nn.Module, members: list[dict[str, Tensor]]
) -> None:
    one, four = (predict(network, give(*[members[0]] * count), SLICES, ONCE) for count in (1, 4))
    np.testing.assert_allclose(four[0].probability, one[0].probability, atol=1e-7)
    assert four[0].mutual_information.max() < 1e-6


def test_the_probabilities_of_the_classes_sum_to_one(
    network: nn.Module, members: list[dict[str, Tensor]]
) -> None:
    background, target = (
        predict(network, give(*members), SLICES, ONCE, foreground=channel) for channel in (0, 1)
    )
    np.testing.assert_allclose(background[0].probability + target[0].probability, 1, atol=1e-6)


def test_bfloat16_is_nearly_the_same(network: nn.Module, members: list[dict[str, Tensor]]) -> None:
    exact = predict(network, give(*members), SLICES, SETTINGS)
    coarse = predict(network, give(*members), SLICES, InferenceSettings(TILE, precision="bf16"))
    for one, other in zip(exact, coarse, strict=True):
        np.testing.assert_allclose(one.probability, other.probability, atol=0.02)


def test_every_member_is_read_once_for_all_slices(
    network: nn.Module, members: list[dict[str, Tensor]]
) -> None:
    read: list[int] = []

    def reader(number: int) -> dict[str, Tensor]:
        read.append(number)
        return dict(members[number])

    predict(network, [partial(reader, number) for number in range(4)], SLICES, ONCE)
    assert read == [0, 1, 2, 3]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_member_is_let_go_of_before_the_next_is_read(network: nn.Module, precision: str) -> None:
    alive: list[weakref.ref[np.ndarray]] = []
    counts: list[int] = []

    def reader(seed: int) -> dict[str, Tensor]:
        counts.append(sum(memory() is not None for memory in alive))
        arrays = {name: value.numpy().copy() for name, value in member_of(TINY, seed).items()}
        alive.extend(weakref.ref(array) for array in arrays.values())
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    settings = InferenceSettings(TILE, mirror=False, precision=precision)
    predict(network, [partial(reader, seed) for seed in range(3)], SLICES, settings)
    assert counts == [0, 0, 0]


def test_the_network_given_is_not_touched_and_need_not_have_weights(
    network: nn.Module, members: list[dict[str, Tensor]]
) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with_weights = predict(network, give(*members), SLICES, ONCE)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    without = predict(copy.deepcopy(network).to("meta"), give(*members), SLICES, ONCE)
    assert np.array_equal(with_weights[0].probability, without[0].probability)


def test_a_complete_state_dict_is_a_member_too(network: nn.Module, members: list[dict[str, Tensor]]) -> None:
    complete = network_of(TINY, seed=0).state_dict()
    assert len(complete) > len(members[0])
    given, short = (predict(network, give(member), SLICES, ONCE) for member in (complete, members[0]))
    assert np.array_equal(given[0].probability, short[0].probability)


def test_members_in_half_precision_compute_in_single(
    network: nn.Module, members: list[dict[str, Tensor]]
) -> None:
    halves = {name: value.half() for name, value in members[0].items()}
    rounded = {name: value.float() for name, value in halves.items()}
    stored, exact = (predict(network, give(member), SLICES, ONCE) for member in (halves, rounded))
    assert np.array_equal(stored[0].probability, exact[0].probability)


def test_no_members_is_an_error(network: nn.Module) -> None:
    with pytest.raises(ModelError) as caught:
        predict(network, [], SLICES, SETTINGS)
    assert caught.value.code is Code.ENSEMBLE_EMPTY


@pytest.mark.parametrize("damage", ["missing", "another shape", "unknown"])
def test_a_member_of_another_architecture_is_an_error_that_names_it(
    network: nn.Module, members: list[dict[str, Tensor]], damage: str
) -> None:
    other = dict(members[1])
    name = next(iter(other))
    if damage == "missing":
        del other[name]
    elif damage == "another shape":
        other[name] = other[name][:2]
    else:
        other["decoder.attention.weight"] = torch.zeros(3)
    with pytest.raises(ModelError, match="member 2 does not fit") as caught:
        predict(network, give(members[0], other), SLICES, ONCE)
    assert caught.value.code is Code.MEMBER_INVALID


def test_a_member_that_answers_with_no_number_is_an_error(
    network: nn.Module, members: list[dict[str, Tensor]]
) -> None:
    broken = {name: value * torch.nan for name, value in members[0].items()}
    with pytest.raises(ModelError, match="member 2 answers") as caught:
        predict(network, give(members[0], broken), SLICES, ONCE)
    assert caught.value.code is Code.MEMBER_INVALID


def test_what_reading_a_member_raises_is_not_swallowed(
    network: nn.Module, members: list[dict[str, Tensor]]
) -> None:
    def lost() -> dict[str, Tensor]:
        raise ModelError(Code.MODEL_MISSING, "member-7.safetensors")

    with pytest.raises(ModelError, match="member-7"):
        predict(network, [*give(members[0]), lost], SLICES, ONCE)


def test_members_of_upright_images_are_mirrored_left_and_right_alone() -> None:
    upright = InferenceSettings((32, 32), upright=True)
    image = torch.randn(1, 32, 32, generator=torch.Generator().manual_seed(0))
    load = partial(member_of, TINY, 0)

    def asked(pixels: Tensor) -> Tensor:
        (answer,) = predict(network_of(TINY), [load], [pixels], upright)
        return torch.from_numpy(answer.probability)

    assert torch.allclose(asked(image.flip(2)).flip(1), asked(image), atol=5e-3)
    assert not torch.allclose(asked(image.flip(1)).flip(0), asked(image), atol=5e-2)
