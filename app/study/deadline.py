"""A deadline that holds even for a graph that hangs: the worker process ends and is replaced.

A thread that computes cannot be stopped, a process can. The timer records why and ends the process; should
the computation never let the timer's thread run, the interpreter's own watchdog ends the process shortly
after, and the study list counts a death.
"""

import faulthandler
import os
import sys
import threading
from collections.abc import Callable
from types import TracebackType

EXIT_TIME_EXCEEDED = 75
_GRACE_SECONDS = 60.0


class Deadline:
    """Around a computation: ``with Deadline(seconds, record)``; ``record`` runs before the process ends."""

    def __init__(self, seconds: float, record: Callable[[], None]) -> None:
        self._seconds = seconds
        self._record = record
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._over = False

    def __enter__(self) -> None:
        self._timer.start()
        if sys.__stderr__ is not None:
            end = self._seconds + _GRACE_SECONDS
            faulthandler.dump_traceback_later(end, exit=True, file=sys.__stderr__)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:  # either the computation made it or the deadline struck, never both
            self._over = True
        self._timer.cancel()
        faulthandler.cancel_dump_traceback_later()

    def _expire(self) -> None:
        with self._lock:
            if self._over:
                return
            self._record()
            os._exit(EXIT_TIME_EXCEEDED)
