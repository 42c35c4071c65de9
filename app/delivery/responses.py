"""What an answer to C-STORE means for a result: it is there, try again, or never (PS3.4 B.2.3, PS3.7 C)."""

from enum import StrEnum

from models.errors import Code


class Verdict(StrEnum):
    """What follows from an answer."""

    SENT = "sent"
    AGAIN = "again"
    NEVER = "never"


RESPONSES: tuple[tuple[int, int, Verdict], ...] = (
    (0x0000, 0x0000, Verdict.SENT),
    (0x0111, 0x0111, Verdict.SENT),  # Duplicate SOP Instance: what we sent before a crash did arrive
    (0xB000, 0xBFFF, Verdict.SENT),  # warnings: stored, with a remark
    (0x0122, 0x0122, Verdict.NEVER),  # SOP class not supported
    (0x0124, 0x0124, Verdict.NEVER),  # not authorised
    (0xA900, 0xA9FF, Verdict.NEVER),  # data set does not match SOP class
    (0xC000, 0xCFFF, Verdict.NEVER),  # cannot understand
)
"""Inclusive ranges of statuses. Everything else, out of resources (A7xx) above all, may change: try again."""

CODES = {Verdict.AGAIN: Code.DELIVERY_FAILED, Verdict.NEVER: Code.DELIVERY_REFUSED}


def judge(status: int) -> Verdict:
    """Return what a C-STORE status means."""
    return next((verdict for low, high, verdict in RESPONSES if low <= status <= high), Verdict.AGAIN)
