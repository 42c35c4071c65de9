"""The state machine: a table that hangs together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.study.states import RETRIABLE, TERMINAL, TRANSITIONS, Event, State, next_state


def reachable(start: State) -> set[State]:
    found, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for (state, _), after in TRANSITIONS.items():
            if state is here and after not in found:
                found.add(after)
                waiting.append(after)
    return found


def test_every_state_is_reached_from_quiet() -> None:
    assert reachable(State.QUIET) == set(State)


@pytest.mark.parametrize("state", list(State))
def test_every_state_leads_to_an_end(state: State) -> None:
    assert reachable(state) & TERMINAL


def test_an_end_is_left_only_by_a_retry() -> None:
    leaving = {event for (state, event) in TRANSITIONS if state in TERMINAL}
    assert leaving == {Event.RETRIED}
    assert RETRIABLE < TERMINAL
    assert State.DONE not in RETRIABLE


@given(st.sampled_from(State), st.sampled_from(Event))
def test_what_the_table_does_not_list_cannot_happen(state: State, event: Event) -> None:
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(ValueError, match="cannot be"):
            next_state(state, event)
