"""Mean, entropy and mutual information over members, and the score of a slice (MedCLIP-SAMv2, section 3.3).

``released_*`` are formulas of the authors' released code, to show which properties they do not have.
"""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from models.uncertainty import (
    ENTROPY_FLOOR_BITS,
    THRESHOLD,
    RunningAgreement,
    agree,
    change_of_entropy,
    class_entropy,
    entropy,
    outline_entropy,
)

probability = st.floats(0, 1, width=32)
members_of = arrays(np.float32, (5, 3, 4), elements=probability)
maps = arrays(np.float32, (3, 4), elements=probability)


@st.composite
def distributions(draw: st.DrawFn) -> np.ndarray:
    """Probabilities (R, 6) of 2 to 5 classes that sum to 1."""
    weights = draw(
        arrays(np.float64, (draw(st.integers(2, 5)), 6), elements=st.one_of(st.just(0.0), st.floats(1e-6, 1)))
    )
    assume((weights.sum(0) > 0).all())
    return weights / weights.sum(0)


def reference_entropy(p: np.ndarray) -> np.ndarray:
    """Binary entropy in bits in double precision, by the limit at 0 and 1."""
    p = p.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.nan_to_num(p * np.log2(p)) - np.nan_to_num((1 - p) * np.log2(1 - p))


# the ensemble


def test_identical_members_are_their_mean_and_disagree_about_nothing() -> None:
    member = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    agreement = agree(np.stack([member] * 4))
    np.testing.assert_allclose(agreement.probability, member, atol=1e-7)
    np.testing.assert_allclose(agreement.mutual_information, 0, atol=1e-6)


@given(members_of)
def test_the_order_of_members_does_not_matter(members: np.ndarray) -> None:
    forwards, backwards = agree(members), agree(members[::-1])
    np.testing.assert_allclose(forwards.probability, backwards.probability, atol=1e-7)
    np.testing.assert_allclose(forwards.mutual_information, backwards.mutual_information, atol=1e-6)


@given(members_of)
def test_members_one_by_one_give_what_all_of_them_stacked_give_in_double_precision(
    members: np.ndarray,
) -> None:
    running = RunningAgreement(members.shape[1:])
    for member in members:
        running.add(member)
    agreement, stack = running.agreement(), members.astype(np.float64)
    whole = reference_entropy(stack.mean(0))
    np.testing.assert_allclose(agreement.probability, stack.mean(0), atol=1e-6)
    np.testing.assert_allclose(agreement.entropy, whole, atol=2e-6)
    expected = whole - reference_entropy(stack).mean(0)
    np.testing.assert_allclose(agreement.mutual_information, expected, atol=2e-6)
    assert running.members == len(members)


@given(members_of)
def test_target_and_background_sum_to_one(members: np.ndarray) -> None:
    background = agree(np.float32(1) - members)
    np.testing.assert_allclose(agree(members).probability + background.probability, 1, atol=1e-6)


@given(members_of)
def test_the_mean_lies_between_the_least_and_the_most_sure_member(members: np.ndarray) -> None:
    mean = agree(members).probability
    assert (mean >= members.min(0) - 1e-6).all()
    assert (mean <= members.max(0) + 1e-6).all()


@given(members_of, probability)
def test_a_lower_threshold_gives_a_superset(members: np.ndarray, lower: float) -> None:
    mean = agree(members).probability
    assert not ((mean > THRESHOLD) & ~(mean > min(lower, THRESHOLD))).any()


def test_the_mean_of_logits_is_not_the_mean_of_probabilities() -> None:
    members = np.array([[[0.9999]], [[0.2]], [[0.2]]], np.float32)
    released_logit_mean = 1 / (1 + np.exp(-np.log(members / (1 - members)).mean()))
    assert agree(members).probability[0, 0] == pytest.approx(1.3999 / 3)
    assert released_logit_mean > 0.8  # one sure member outvotes two others


def test_no_members_is_an_error() -> None:
    with pytest.raises(ValueError, match="M >= 1"):
        agree(np.zeros((0, 3, 4), np.float32))


def test_a_member_of_another_shape_is_an_error() -> None:
    with pytest.raises(ValueError, match="shape"):
        RunningAgreement((3, 4)).add(np.zeros((4, 3), np.float32))


# entropy


@given(distributions())
def test_entropy_lies_between_zero_and_the_logarithm_of_the_number_of_classes(p: np.ndarray) -> None:
    values = class_entropy(p)
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    assert (values <= np.log2(len(p)) + 1e-9).all()


@given(distributions())
def test_entropy_is_zero_exactly_where_one_class_is_certain(p: np.ndarray) -> None:
    certain = (p == 1.0).any(0)
    assert np.array_equal(class_entropy(p) == 0.0, certain)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_entropy_is_largest_where_all_classes_are_equally_likely(classes: int) -> None:
    uniform = np.full((classes, 1), 1 / classes)
    assert class_entropy(uniform)[0] == pytest.approx(np.log2(classes))


@given(distributions())
def test_entropy_is_the_same_for_classes_in_another_order(p: np.ndarray) -> None:
    np.testing.assert_allclose(class_entropy(p), class_entropy(p[::-1]), atol=1e-12)


@given(distributions())
def test_bits_are_nats_over_the_logarithm_of_two(p: np.ndarray) -> None:
    np.testing.assert_allclose(class_entropy(p), class_entropy(p, "nats") / np.log(2), atol=1e-12)


@given(maps)
def test_the_binary_case_is_the_closed_form(p: np.ndarray) -> None:
    np.testing.assert_allclose(entropy(p), reference_entropy(p), atol=1e-6)
    np.testing.assert_allclose(entropy(p, "nats"), reference_entropy(p) * np.log(2), atol=1e-6)


def test_entropy_in_bits_at_known_places() -> None:
    values = entropy(np.array([0.0, 0.25, 0.5, 1.0], np.float32))
    assert values == pytest.approx([0.0, 0.8112781, 1.0, 0.0], abs=1e-6)


@given(maps)
def test_entropy_is_symmetric_in_target_and_background(p: np.ndarray) -> None:
    np.testing.assert_allclose(entropy(p), entropy(np.float32(1) - p), atol=1e-6)


@given(members_of)
def test_entropy_of_the_mean_is_at_least_the_mean_entropy(members: np.ndarray) -> None:
    agreement = agree(members)
    assert (agreement.entropy >= entropy(members).mean(0) - 1e-6).all()
    assert (agreement.mutual_information >= 0).all()
    assert (agreement.mutual_information <= agreement.entropy).all()


def released_class_entropy(p: np.ndarray) -> np.ndarray:
    """Entropy of the mean in bits, unclamped."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return -(p * np.log2(p)) - (1 - p) * np.log2(1 - p)


def released_total_entropy(members: np.ndarray) -> np.ndarray:
    """What is called total entropy: the background's term alone, summed over the checkpoints."""
    background = 1 - members
    return -(background * np.log(background)).sum(0)


def test_entropy_is_finite_where_all_members_are_certain_and_the_released_one_is_not() -> None:
    certain = np.array([0.0, 1.0], np.float32)
    assert np.isnan(released_class_entropy(certain)).all()
    assert np.array_equal(entropy(certain), [0.0, 0.0])


def test_the_released_total_entropy_is_no_entropy() -> None:
    members = np.full((10, 1, 1), 0.6)
    assert released_total_entropy(members)[0, 0] > np.log(2) > class_entropy(np.array([[0.6], [0.4]]), "nats")
    mirrored = released_total_entropy(1 - members)
    assert mirrored != pytest.approx(released_total_entropy(members))  # not symmetric in the classes


# one number for a slice


def square(side: int, of: int = 15) -> np.ndarray:
    mask = np.zeros((of, of), bool)
    mask[5 : 5 + side, 5 : 5 + side] = True
    return mask


def released_score(uncertainty: np.ndarray, mask: np.ndarray) -> float:
    """100 sum(map) / sum(edge), the edge a difference of uint8, of which 0 - 1 is 255."""
    small = mask.astype(np.uint8)
    edge = np.abs(small - ndimage.grey_dilation(small, (3, 3)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return 100 * uncertainty.sum() / np.float64(edge.sum())


def test_the_score_of_a_square_of_five_is_its_entropy_over_the_24_pixels_around_it() -> None:
    bits = np.zeros((15, 15), np.float32)
    bits[5, 5:9] = 0.75
    assert outline_entropy(bits, square(5)) == pytest.approx(100 * 3.0 / 24)


def test_the_released_score_divides_by_6120_instead_of_24() -> None:
    bits = np.full((15, 15), 0.5, np.float32)
    assert released_score(bits, square(5)) == pytest.approx(100 * bits.sum() / 6120)
    assert outline_entropy(bits, square(5)) == pytest.approx(255 * released_score(bits, square(5)))


def test_a_mask_without_an_outline_has_no_score_where_the_released_one_is_infinite() -> None:
    bits = np.full((15, 15), 0.5, np.float32)
    empty, everything = np.zeros((15, 15), bool), np.ones((15, 15), bool)
    assert np.isinf(released_score(bits, empty))
    assert outline_entropy(bits, empty) is None
    assert outline_entropy(bits, everything) is None


@given(arrays(np.float32, (15, 15), elements=probability), st.integers(1, 8), st.floats(0.125, 1, width=32))
def test_the_score_grows_with_the_entropy_in_proportion(bits: np.ndarray, side: int, factor: float) -> None:
    whole, part = (outline_entropy(bits * np.float32(share), square(side)) for share in (1, factor))
    assert part == pytest.approx(factor * whole, rel=1e-4, abs=1e-5)


# convergence


def test_a_change_is_judged_where_a_map_is_unsure() -> None:
    before, after = np.zeros((100, 100), np.float32), np.zeros((100, 100), np.float32)
    before[0, :2] = 0.5
    after[0, :2] = 0.5, 0.7
    after[1] = ENTROPY_FLOOR_BITS / 2
    assert change_of_entropy(before, after) == pytest.approx(0.1)


@given(maps, maps)
def test_a_change_is_the_same_in_both_directions_and_none_from_a_map_to_itself(
    before: np.ndarray, after: np.ndarray
) -> None:
    assert change_of_entropy(before, after) == change_of_entropy(after, before)
    assert change_of_entropy(before, before) == 0.0
