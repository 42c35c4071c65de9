"""The four losses against a naive double loop, their limits, and what the released code does instead.

A test whose name ends in ``unlike_the_released_code`` states a property of the printed loss that the code
released with the papers lacks; the test after it shows that.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from models.losses import (
    TAU,
    dcl,
    dhn_nce,
    dhn_nce_released,
    hn_nce,
    info_nce,
    log_weights,
    one_side,
    released_side,
)

Pairs = tuple[torch.Tensor, torch.Tensor]
few = settings(max_examples=30)

LOSSES = (info_nce, dcl, hn_nce, dhn_nce)


def rows(count: int, seed: int, width: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, width, generator=generator, dtype=torch.float64), dim=1)


def off_diagonal(count: int) -> torch.Tensor:
    return ~torch.eye(count, dtype=torch.bool)


def naive(
    image: torch.Tensor,
    text: torch.Tensor,
    tau: float = TAU,
    alpha: float = 0.0,
    beta: tuple[float, float] = (0.15, 0.15),
    same: torch.Tensor | None = None,
) -> float:
    total = 0.0
    sides = ((image, text, same, beta[0]), (text, image, None if same is None else same.T, beta[1]))
    for left, right, masked, hardness in sides:
        logits = (left @ right.T / tau).tolist()
        for i, row in enumerate(logits):
            negatives = [
                value for j, value in enumerate(row) if j != i and (masked is None or not masked[i, j])
            ]
            if not negatives:
                continue
            norm = sum(math.exp(hardness * value) for value in negatives)
            weights = [len(negatives) * math.exp(hardness * value) / norm for value in negatives]
            others = sum(w * math.exp(value) for w, value in zip(weights, negatives, strict=True))
            total += -row[i] + math.log(alpha * math.exp(row[i]) + others)
    return total


def naive_released(image: torch.Tensor, text: torch.Tensor, tau: float, beta: tuple[float, float]) -> float:
    """The released computation, cell by cell."""
    total, count = 0.0, len(image)
    for left, right, hardness in ((image, text, beta[0]), (text, image, beta[1])):
        logits = (left @ right.T / tau).tolist()
        hidden = [[0.0 if i == j else logits[i][j] for j in range(count)] for i in range(count)]
        norms = [sum(math.exp(value) for value in row) for row in hidden]
        for i in range(count):
            for j in range(count):
                positive = math.exp(logits[i][i]) if i == j else 1.0
                weight = (count - 1) * math.exp(hardness * hidden[i][j]) / norms[j]
                total -= math.log(positive / (weight * math.exp(hidden[i][j]))) / count**2
    return total


@st.composite
def pairs(draw: st.DrawFn, least: int = 2) -> Pairs:
    count, seed = draw(st.integers(least, 9)), draw(st.integers(0, 10_000))
    return rows(count, seed), rows(count, seed + 20_000)


betas = st.floats(0.0, 10.0)
temperatures = st.floats(0.05, 2.0)


@few
@given(pairs(), betas, betas, temperatures, st.floats(0.01, 1.0))
def test_equals_a_naive_double_loop(batch, first, second, tau, alpha):
    beta = (first, second)
    assert dhn_nce(*batch, tau=tau, beta=beta).item() == pytest.approx(
        naive(*batch, tau, 0.0, beta), rel=1e-9, abs=1e-9
    )
    assert hn_nce(*batch, tau=tau, beta=beta, alpha=alpha).item() == pytest.approx(
        naive(*batch, tau, alpha, beta), rel=1e-9, abs=1e-9
    )


@few
@given(pairs(), temperatures)
def test_without_hardness_dhn_nce_is_exactly_dcl(batch, tau):
    assert dhn_nce(*batch, tau=tau, beta=(0.0, 0.0)).item() == dcl(*batch, tau=tau).item()
    assert dcl(*batch, tau=tau).item() == pytest.approx(
        naive(*batch, tau, 0.0, (0.0, 0.0)), rel=1e-9, abs=1e-9
    )


@few
@given(pairs(), temperatures)
def test_with_the_positive_and_without_hardness_hn_nce_is_infonce_the_sum_of_two_cross_entropies(batch, tau):
    logits, targets = batch[0] @ batch[1].T / tau, torch.arange(len(batch[0]))
    expected = F.cross_entropy(logits, targets, reduction="sum") + F.cross_entropy(
        logits.T, targets, reduction="sum"
    )
    assert info_nce(*batch, tau=tau).item() == pytest.approx(expected.item(), rel=1e-9, abs=1e-9)
    assert hn_nce(*batch, tau=tau, beta=(0.0, 0.0)).item() == info_nce(*batch, tau=tau).item()


@few
@given(pairs(), betas)
def test_the_weights_of_an_anchor_add_up_to_its_negatives_and_grow_with_similarity(batch, beta):
    logits = batch[0] @ batch[1].T / TAU
    negative = off_diagonal(len(logits))
    weights = log_weights(logits, negative, beta).exp()
    assert (weights >= 0).all()
    assert (weights.diagonal() == 0).all()
    assert torch.allclose(weights.sum(1), torch.full((len(logits),), len(logits) - 1.0, dtype=torch.float64))
    for row, values, allowed in zip(weights, logits, negative, strict=True):
        ordered = row[allowed][values[allowed].argsort()]
        assert (ordered.diff() >= -1e-12).all()


@few
@given(pairs())
def test_without_hardness_every_negative_weighs_one(batch):
    negative = off_diagonal(len(batch[0]))
    weights = log_weights(batch[0] @ batch[1].T / TAU, negative, 0.0).exp()
    assert torch.allclose(weights[negative], torch.ones(()).double())


@few
@given(st.integers(0, 1000), betas)
def test_with_two_pairs_hardness_has_no_effect(seed, beta):
    image, text = rows(2, seed), rows(2, seed + 5000)
    assert dhn_nce(image, text, beta=(beta, beta)).item() == pytest.approx(
        dcl(image, text).item(), rel=1e-9, abs=1e-9
    )


@pytest.mark.parametrize("loss", LOSSES)
@few
@given(batch=pairs(), seed=st.integers(0, 1000), factor=st.floats(0.01, 100.0))
def test_order_and_length_of_the_rows_do_not_matter(loss, batch, seed, factor):
    value = loss(*batch).item()
    order = torch.randperm(len(batch[0]), generator=torch.Generator().manual_seed(seed))
    assert loss(batch[0][order], batch[1][order]).item() == pytest.approx(value, rel=1e-9, abs=1e-9)
    assert loss(factor * batch[0], batch[1] / factor).item() == pytest.approx(value, rel=1e-9, abs=1e-9)


@few
@given(pairs(), betas, betas)
def test_swapping_the_modalities_with_their_hardness_changes_nothing(batch, first, second):
    swapped = dhn_nce(batch[1], batch[0], beta=(second, first)).item()
    assert dhn_nce(*batch, beta=(first, second)).item() == pytest.approx(swapped, rel=1e-9, abs=1e-9)


@few
@given(pairs(), betas, st.floats(0.0, 1.0), st.floats(-20.0, 20.0))
def test_a_constant_on_all_logits_changes_nothing_unlike_the_released_code(batch, beta, alpha, constant):
    logits = batch[0] @ batch[1].T / TAU
    negative = off_diagonal(len(logits))
    moved = one_side(logits + constant, negative, alpha, beta)
    assert torch.allclose(moved, one_side(logits, negative, alpha, beta), atol=1e-9)


def test_the_released_code_changes_with_a_constant_on_all_logits():
    logits = rows(6, 9) @ rows(6, 10).T / TAU
    assert abs((released_side(logits + 1.0, 0.15) - released_side(logits, 0.15)).item()) > 0.1


@few
@given(pairs(), st.lists(betas, min_size=2, max_size=6))
def test_never_falls_as_hardness_grows(batch, hardness):
    values = torch.stack([dhn_nce(*batch, beta=(beta, beta)) for beta in sorted(hardness)])
    assert (values.diff() >= -1e-9).all()


@few
@given(pairs())
def test_with_endless_hardness_only_the_hardest_negative_counts(batch):
    logits = batch[0] @ batch[1].T / TAU
    negative = off_diagonal(len(logits))
    hardest = logits.masked_fill(~negative, -torch.inf).amax(1)
    expected = hardest - logits.diagonal() + math.log(len(logits) - 1)
    assert torch.allclose(one_side(logits, negative, 0.0, 1e7), expected, atol=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_equal_finite_differences(loss):
    image, text = rows(5, 11).requires_grad_(), rows(5, 12).requires_grad_()
    assert torch.autograd.gradcheck(loss, (image, text))


def similarity_gradient(loss_of_rows, logits: torch.Tensor) -> torch.Tensor:
    logits = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of_rows(logits).sum(), logits)
    return gradient


@few
@given(pairs(least=3), betas, st.floats(0.0, 1.0))
def test_the_gradients_of_an_anchor_add_up_to_zero(batch, beta, alpha):
    negative = off_diagonal(len(batch[0]))
    gradient = similarity_gradient(
        lambda logits: one_side(logits, negative, alpha, beta), batch[0] @ batch[1].T / TAU
    )
    assert torch.allclose(gradient.sum(1), torch.zeros(len(gradient)).double(), atol=1e-9)


@few
@given(pairs(least=3))
def test_the_hardest_negative_is_pushed_hardest_unlike_the_released_code(batch):
    negative = off_diagonal(len(batch[0]))
    logits = batch[0] @ batch[1].T / TAU
    gradient = similarity_gradient(lambda values: one_side(values, negative, 0.0, 0.15), logits)
    hardest = logits.masked_fill(~negative, -torch.inf).argmax(1)
    assert torch.equal(gradient.masked_fill(~negative, -torch.inf).argmax(1), hardest)
    assert (gradient.gather(1, hardest[:, None]) > 0).all()


def test_the_released_code_pulls_the_hardest_negatives_closer():
    count = 8
    logits = rows(count, 13) @ rows(count, 14).T / TAU
    negative = off_diagonal(count)
    released = similarity_gradient(lambda values: released_side(values, 0.15), logits)
    printed = similarity_gradient(lambda values: one_side(values, negative, 0.0, 0.15), logits)
    assert correlation(logits[negative], released[negative]) < -0.8
    assert correlation(logits[negative], printed[negative]) > 0.7
    attracted = released[negative] < 0
    assert 0.1 < attracted.double().mean() < 0.5
    assert logits[negative][attracted].min() >= logits[negative].median()


def correlation(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([first, second]))[0, 1])


@few
@given(pairs(), temperatures, betas, betas)
def test_the_released_variant_equals_the_released_computation_cell_by_cell(batch, tau, first, second):
    value = dhn_nce_released(*batch, tau=tau, beta=(first, second)).item()
    assert value == pytest.approx(naive_released(*batch, tau, (first, second)), rel=1e-9, abs=1e-9)


def test_the_released_code_is_not_the_printed_loss():
    image, text = rows(6, 1), rows(6, 2)
    assert abs(dhn_nce_released(image, text).item() - dhn_nce(image, text).item()) > 1.0
    assert abs(dhn_nce_released(image, text).item() - dhn_nce(image, text, reduction="mean").item()) > 0.1


def test_perfect_alignment_with_orthogonal_negatives_unlike_the_released_code():
    eye = torch.eye(4, dtype=torch.float64)
    expected = 2 * 4 * (-1 / TAU + math.log(3))
    assert dhn_nce(eye, eye).item() == pytest.approx(expected, rel=1e-9)
    assert abs(dhn_nce_released(eye, eye).item() - expected) > 1.0


@pytest.mark.parametrize("loss", LOSSES)
@few
@given(batch=pairs())
def test_the_sum_is_b_times_the_mean(loss, batch):
    mean = loss(*batch, reduction="mean").item()
    assert loss(*batch, reduction="sum").item() == pytest.approx(len(batch[0]) * mean, rel=1e-12, abs=1e-12)


def test_equal_captions_without_a_mask_give_the_logarithm_of_the_negatives():
    image, text = rows(5, 1), rows(1, 2).expand(5, -1)
    one_anchor = dhn_nce(text, text).item() / 10
    assert one_anchor == pytest.approx(math.log(4))
    assert dhn_nce(image, text).isfinite()


def test_pairs_of_the_same_concept_are_no_negatives():
    image, text = rows(5, 3), rows(5, 4)
    same = torch.zeros(5, 5, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    assert dhn_nce(image, text, same).item() == pytest.approx(naive(image, text, same=same), rel=1e-9)
    assert dhn_nce(image, text, same).item() != pytest.approx(dhn_nce(image, text).item(), rel=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
def test_an_anchor_whose_every_negative_is_masked_gives_no_loss_and_no_gradient(loss):
    image, text = rows(3, 5).requires_grad_(), rows(3, 6)
    value = loss(image, text, torch.ones(3, 3, dtype=torch.bool))
    value.backward()
    assert value.item() == 0.0
    assert torch.equal(image.grad, torch.zeros_like(image))


@pytest.mark.parametrize("loss", [*LOSSES, dhn_nce_released])
def test_half_precision_neither_overflows_nor_is_computed_in_half_precision(loss):
    image, text = rows(6, 1).half(), rows(6, 2).half()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(image, text, tau=0.01)
    assert value.dtype is torch.float32
    assert value.isfinite()
    assert value.item() == pytest.approx(loss(image.double(), text.double(), tau=0.01).item(), rel=1e-4)


@pytest.mark.parametrize("loss", [*LOSSES, dhn_nce_released])
@pytest.mark.parametrize("counts", [(1, 1), (0, 0), (3, 4)])
def test_a_single_pair_or_unequal_batches_are_refused(loss, counts):
    with pytest.raises(ValueError, match="at least 2 rows"):
        loss(rows(counts[0], 1), rows(counts[1], 2))


@pytest.mark.parametrize("alpha", [0.0, -1.0, 1.5])
def test_hn_nce_keeps_the_positive(alpha):
    with pytest.raises(ValueError, match="dhn_nce"):
        hn_nce(rows(3, 1), rows(3, 2), alpha=alpha)
