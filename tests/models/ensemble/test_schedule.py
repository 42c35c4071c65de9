import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ensemble.schedule import FLOOR, Cycles, learning_rate, member_epochs

PAPER = Cycles()
RELEASED = Cycles(rate="released")


def rates(plan: Cycles) -> list[float]:
    return [learning_rate(epoch, plan) for epoch in range(plan.epochs)]


@st.composite
def plans(draw, rate=None):
    cycles = draw(st.integers(1, 5))
    length = draw(st.integers(2, 40))
    keep = draw(st.integers(1, length))
    return Cycles(cycles * length, cycles, keep, rate or draw(st.sampled_from(["recommended", "released"])))


def test_the_released_rate_is_the_published_list():
    golden = {0: 0.01, 1: 0.0099850, 80: 0.0087900, 159: 0.0075805, 160: 0.0075650, 199: 0.0075650}
    for epoch, rate in golden.items():
        for cycle in (0, 200, 400):
            assert learning_rate(cycle + epoch, RELEASED) == pytest.approx(rate, abs=2e-6)


def test_the_released_rate_never_comes_near_zero_while_the_recommended_does():
    assert min(rates(RELEASED)) > 0.0075
    assert min(rates(PAPER)) == pytest.approx(0.01 * FLOOR)


def test_the_released_command_line_stands_still_after_half_a_cycle():
    assert min(rates(Cycles(rate="released", gamma=0.5))) == pytest.approx(0.00849, abs=1e-5)


def test_one_released_cycle_is_plain_polynomial_decay():
    plan = Cycles(100, 1, 10, "released")
    assert rates(plan) == pytest.approx([0.01 * (1 - epoch / 100) ** 0.9 for epoch in range(100)])


def test_a_restart_may_be_higher_than_the_first_rate():
    plan = Cycles(60, 3, 5, restart=0.1)
    assert [learning_rate(epoch, plan) for epoch in (0, 20, 40)] == pytest.approx([0.01, 0.1, 0.1])


@given(plans())
def test_every_cycle_restarts_and_falls(plan):
    values = rates(plan)
    if plan.rate == "released" and plan.cycles == 1:
        assert values[0] == plan.initial
    for start in range(0, plan.epochs, plan.length):
        cycle = values[start : start + plan.length]
        assert cycle[0] == pytest.approx(plan.initial)
        assert all(later <= earlier + 1e-15 for earlier, later in itertools.pairwise(cycle))


@given(plans(rate="released").filter(lambda plan: plan.cycles > 1))
def test_the_released_rate_is_constant_after_gamma_of_a_cycle(plan):
    still = int(plan.gamma * plan.length)
    assert len({learning_rate(epoch, plan) for epoch in range(still, plan.length)}) == 1


@given(plans(rate="recommended"))
def test_the_recommended_rate_ends_every_cycle_near_zero(plan):
    for end in range(plan.length - 1, plan.epochs, plan.length):
        assert learning_rate(end, plan) == pytest.approx(plan.initial * FLOOR)


@given(plans())
def test_every_cycle_leaves_its_last_epochs_and_its_end(plan):
    kept = member_epochs(plan)
    assert len(kept) == len(set(kept)) == plan.cycles * plan.keep
    for end in range(plan.length, plan.epochs + 1, plan.length):
        assert [epoch for epoch in kept if end - plan.length <= epoch < end] == list(
            range(end - plan.keep, end)
        )


def released_epochs(plan: Cycles) -> tuple[int, ...]:
    """The condition of the authors' trainer, word for word."""
    return tuple(e for e in range(plan.epochs) if (e + 1) % plan.length >= plan.length - plan.keep)


def test_the_released_rule_keeps_as_many_but_misses_the_end_of_every_cycle():
    kept = released_epochs(PAPER)
    assert kept == (*range(189, 199), *range(389, 399), *range(589, 599))
    assert not {199, 399, 599} & set(kept)
    assert {199, 399, 599} <= set(member_epochs(PAPER))


@pytest.mark.parametrize("values", [(600, 7, 10), (0, 1, 1), (10, 0, 1), (30, 3, 11), (30, 3, 0)])
def test_impossible_plans_are_refused(values):
    with pytest.raises(ValueError, match="cannot"):
        Cycles(*values)


@pytest.mark.parametrize("epoch", [-1, 600])
def test_an_epoch_outside_the_training_is_refused(epoch):
    with pytest.raises(ValueError, match="epoch"):
        learning_rate(epoch, PAPER)
