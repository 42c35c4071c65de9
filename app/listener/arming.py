"""Arming: telling the engine that a study received something, so that it notices when the study is quiet.

A crash may fall between an instance's rename and its arming, and there may be no engine yet when the first
image arrives. So a study is armed at most once a second while it receives, and the whole inbox is looked
through at the start and every minute. Arming twice is harmless: the due time follows from the files.
"""

import logging
import threading
import time
from collections.abc import Callable

from app.config import Config
from app.log import short
from app.study import engine
from app.study.database import Database
from app.study.generations import Generations
from app.study.inbox import Inbox

logger = logging.getLogger(__name__)

_BEAT = 1.0
_SCAN_EVERY = 60.0


class Arming:
    """The thread that arms studies."""

    def __init__(self, config: Config, inbox: Inbox) -> None:
        self._config = config
        self._inbox = inbox
        self._generations = Generations(Database(config.storage.root))
        self._marked: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._arm: Callable[[str, str, float], None] | None = None
        self._waiting = False
        self._thread = threading.Thread(target=self._run, name="arming", daemon=True)

    def start(self) -> None:
        """Start looking through the inbox, and arming what is marked."""
        self._thread.start()

    def stop(self) -> None:
        """Arm what is still marked, once, and end."""
        self._stop.set()
        self._thread.join()

    def mark(self, study: str) -> None:
        """Note that a study received an instance. Cheap: called for every C-STORE."""
        with self._lock:
            self._marked.add(study)

    def _run(self) -> None:
        next_scan = 0.0
        while True:
            stopping = self._stop.wait(_BEAT)
            if time.monotonic() >= next_scan:
                self._inbox.discard_unfinished()
                for study in self._inbox.studies():
                    self.mark(study)
                next_scan = time.monotonic() + _SCAN_EVERY
            self._arm_marked()
            if stopping:
                return

    def _arm_marked(self) -> None:
        from sqlalchemy.exc import SQLAlchemyError  # half a second: after the port is bound

        with self._lock:
            studies, self._marked = self._marked, set()
        remaining = set(studies)
        try:
            for study in studies:
                self._arm_one(study)
                remaining.discard(study)
            self._waiting = False
        except SQLAlchemyError as error:
            # No worker has made the engine's tables yet, or the database is busy: the next beat tries again.
            if not self._waiting:
                logger.warning("the engine cannot be armed yet (%s); trying again", type(error).__name__)
            self._waiting = True
            with self._lock:
                self._marked |= remaining

    def _arm_one(self, study: str) -> None:
        arrivals = self._inbox.arrivals(study, self._generations.known(study))
        if arrivals is None:
            return
        if self._arm is None:
            self._arm = engine.quiet_timer(self._config, engine.connect(self._config))
        self._arm(short(study), study, max(0.0, arrivals.due(self._config.study) - time.time()))
