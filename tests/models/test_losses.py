"""DHN-NCE against a naive double loop and its limits (algorithms of the papers, section 1)."""

import math

import pytest
import torch
import torch.nn.functional as F

from models.losses import dhn_nce


def rows(count: int, seed: int, width: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, width, generator=generator, dtype=torch.float64), dim=1)


def naive(
    image: torch.Tensor, text: torch.Tensor, tau: float, beta: float, same: torch.Tensor | None = None
) -> float:
    total = 0.0
    for left, right, masked in ((image, text, same), (text, image, None if same is None else same.T)):
        logits = (left @ right.T / tau).tolist()
        for i, row in enumerate(logits):
            negatives = [
                value for j, value in enumerate(row) if j != i and (masked is None or not masked[i, j])
            ]
            if not negatives:
                continue
            norm = sum(math.exp(beta * value) for value in negatives)
            weights = [len(negatives) * math.exp(beta * value) / norm for value in negatives]
            total += -row[i] + math.log(
                sum(w * math.exp(value) for w, value in zip(weights, negatives, strict=True))
            )
    return total


@pytest.mark.parametrize("beta", [0.0, 0.15, 1.0])
def test_equals_the_printed_formula(beta: float) -> None:
    image, text = rows(6, 1), rows(6, 2)
    assert dhn_nce(image, text, beta=(beta, beta)).item() == pytest.approx(
        naive(image, text, 0.6, beta), rel=1e-5
    )


def test_pairs_of_the_same_concept_are_no_negatives() -> None:
    image, text = rows(5, 3), rows(5, 4)
    same = torch.zeros(5, 5, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    assert dhn_nce(image, text, same).item() == pytest.approx(naive(image, text, 0.6, 0.15, same), rel=1e-5)
    assert dhn_nce(image, text, same).item() != pytest.approx(dhn_nce(image, text).item(), rel=1e-3)


def test_an_anchor_whose_every_negative_is_masked_gives_no_loss() -> None:
    image, text = rows(3, 5), rows(3, 6)
    assert dhn_nce(image, text, torch.ones(3, 3, dtype=torch.bool)).item() == 0.0


def test_perfect_alignment_with_orthogonal_negatives() -> None:
    eye = torch.eye(4, dtype=torch.float64)
    assert dhn_nce(eye, eye).item() == pytest.approx(2 * 4 * (-1 / 0.6 + math.log(3)), rel=1e-5)


def test_never_falls_as_beta_grows() -> None:
    image, text = rows(6, 7), rows(6, 8)
    values = [dhn_nce(image, text, beta=(beta, beta)).item() for beta in (0.0, 0.15, 0.5, 2.0, 10.0)]
    assert values == sorted(values)


def test_the_hardest_negative_is_pushed_hardest() -> None:
    """The released code pulls the hardest negative closer instead: its gradient has the other sign there."""
    image, text = rows(6, 9), rows(6, 10)
    logits = (image @ text.T).requires_grad_(True)
    loss = dhn_nce_of_similarity(logits)
    (gradient,) = torch.autograd.grad(loss, logits)
    off = ~torch.eye(6, dtype=torch.bool)
    for i in range(6):
        hardest = logits[i].masked_fill(~off[i], -2.0).argmax()
        assert gradient[i].masked_fill(~off[i], -9.0).argmax() == hardest
        assert gradient[i, hardest] > 0


def dhn_nce_of_similarity(similarity: torch.Tensor) -> torch.Tensor:
    """One side of the loss as a function of the similarity matrix, through an exact factorisation of it."""
    identity = torch.eye(len(similarity), dtype=similarity.dtype)
    return dhn_nce(similarity, identity) - dhn_nce_text_side(similarity)


def dhn_nce_text_side(similarity: torch.Tensor) -> torch.Tensor:
    logits = similarity.T.float() / 0.6
    hidden = logits.masked_fill(torch.eye(len(logits), dtype=torch.bool), -torch.inf)
    hard = torch.logsumexp(1.15 * hidden, 1) - torch.logsumexp(0.15 * hidden, 1)
    return (-logits.diagonal() + math.log(len(logits) - 1) + hard).sum()


def test_a_single_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 rows"):
        dhn_nce(rows(1, 1), rows(1, 2))
