"""The one place where every exception is caught: whatever a study does, the worker goes on with the next."""

import logging
import traceback
from collections.abc import Callable
from typing import TypeVar

from models.errors import Code, TextsegError

logger = logging.getLogger(__name__)

T = TypeVar("T")


def contained(name: str, work: Callable[[], T], record: Callable[[Code, str], None]) -> T | None:
    """Return what ``work`` returns; record code and reason, and return None, when it raises.

    ``name`` is the study's in the log. The message of an unexpected exception is neither logged nor recorded,
    because other libraries quote values of data sets in theirs; its type and its place are.
    """
    try:
        return work()
    except TextsegError as error:
        logger.warning("study %s: %s", name, error.code)
        record(error.code, error.message)
    except Exception as error:  # noqa: BLE001 - see the module
        places = "".join(traceback.format_tb(error.__traceback__))
        logger.error("study %s: unexpected %s\n%s", name, type(error).__name__, places.rstrip())
        record(Code.INTERNAL, f"unexpected {type(error).__name__}; the worker's log says where")
    return None
