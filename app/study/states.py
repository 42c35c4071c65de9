"""What can happen to a study, as one table.

A study that still receives images has no generation yet and is shown as ``receiving``; everything after that
is one of the states below, and nothing changes a state but :func:`next_state`.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where a generation of a study is."""

    QUIET = "quiet"  # its instances are frozen; it waits to be judged and planned
    QUEUED = "queued"  # it waits for the worker
    RUNNING = "running"  # its tasks are computed
    DELIVERING = "delivering"  # its objects are in the outbox and on their way
    DONE = "done"
    REFUSED = "refused"  # nothing of it can or may be processed; the code says why
    TOO_OLD = "too-old"  # a prior that the archive prefetched
    FAILED = "failed"  # the dead letter: code and reason say what a person has to look at
    SUPERSEDED = "superseded"  # late instances arrived before the worker took it


class Event(StrEnum):
    """What happens to a generation."""

    PLANNED = "planned"
    OUTDATED = "outdated"
    REFUSED = "refused"
    OVERTAKEN = "overtaken"
    TAKEN = "taken"
    COMPUTED = "computed"
    DELIVERED = "delivered"
    FAILED = "failed"
    RETRIED = "retried"


TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.QUIET, Event.PLANNED): State.QUEUED,
        (State.QUIET, Event.OUTDATED): State.TOO_OLD,
        (State.QUIET, Event.REFUSED): State.REFUSED,
        (State.QUIET, Event.OVERTAKEN): State.SUPERSEDED,
        (State.QUIET, Event.FAILED): State.FAILED,
        (State.QUEUED, Event.TAKEN): State.RUNNING,
        (State.QUEUED, Event.OVERTAKEN): State.SUPERSEDED,
        (State.QUEUED, Event.FAILED): State.FAILED,
        (State.RUNNING, Event.TAKEN): State.RUNNING,  # by the worker that replaces a dead one
        (State.RUNNING, Event.COMPUTED): State.DELIVERING,
        (State.RUNNING, Event.REFUSED): State.REFUSED,
        (State.RUNNING, Event.FAILED): State.FAILED,
        (State.DELIVERING, Event.DELIVERED): State.DONE,
        (State.DELIVERING, Event.FAILED): State.FAILED,
        (State.REFUSED, Event.RETRIED): State.QUIET,
        (State.TOO_OLD, Event.RETRIED): State.QUIET,
        (State.FAILED, Event.RETRIED): State.QUIET,
    }
)

TERMINAL = frozenset({State.DONE, State.REFUSED, State.TOO_OLD, State.FAILED, State.SUPERSEDED})
RETRIABLE = frozenset(state for state, event in TRANSITIONS if event is Event.RETRIED)


class RunState(StrEnum):
    """Where one task on one series is. Only ``planned`` may still change."""

    PLANNED = "planned"
    FOUND = "found"
    NOTHING_FOUND = "nothing-found"
    UNCHANGED = "unchanged"  # an earlier generation answered it from the very same instances
    REFUSED = "refused"
    FAILED = "failed"


def next_state(state: State, event: Event) -> State:
    """Return the state after an event.

    Raises
    ------
    ValueError
        When the table has no such transition: the caller's order of steps is wrong.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError as error:
        raise ValueError(f"a study that is {state} cannot be {event}") from error
