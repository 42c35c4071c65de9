"""Mean and entropy over members."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.uncertainty import agree, entropy

probabilities = arrays(np.float32, (5, 3, 4), elements=st.floats(0, 1, width=32))


@given(probabilities)
def test_entropy_lies_between_zero_and_one_bit(members: np.ndarray) -> None:
    agreement = agree(members)
    assert np.isfinite(agreement.entropy).all()
    assert (agreement.entropy >= 0).all()
    assert (agreement.entropy <= 1).all()
    assert (agreement.probability >= members.min(0) - 1e-6).all()
    assert (agreement.probability <= members.max(0) + 1e-6).all()


@given(probabilities)
def test_the_order_of_members_does_not_matter(members: np.ndarray) -> None:
    np.testing.assert_allclose(agree(members).probability, agree(members[::-1]).probability, atol=1e-7)


@given(probabilities)
def test_entropy_of_the_mean_is_at_least_the_mean_entropy(members: np.ndarray) -> None:
    assert (agree(members).entropy >= entropy(members).mean(0) - 1e-5).all()


def test_entropy_is_the_closed_form_in_bits() -> None:
    values = entropy(np.array([0.0, 0.25, 0.5, 1.0], np.float32))
    assert values == pytest.approx([0.0, 0.8112781, 1.0, 0.0], abs=1e-6)


def test_identical_members_are_their_mean() -> None:
    member = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    np.testing.assert_allclose(agree(np.stack([member] * 4)).probability, member, atol=1e-7)


def test_no_members_is_an_error() -> None:
    with pytest.raises(ValueError, match="M >= 1"):
        agree(np.zeros((0, 3, 4), np.float32))
