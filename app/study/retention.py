"""Retention: a study that ended ``keep`` ago, however it ended, leaves this computer entirely."""

import logging
import shutil
from datetime import timedelta

from app.config import Config
from app.log import short
from app.study.database import now
from app.study.inbox import Inbox
from app.study.states import TERMINAL
from app.study.steps import Steps

logger = logging.getLogger(__name__)

EVERY_SECONDS = 600.0


def sweep(config: Config, steps: Steps) -> None:
    """Delete what is kept no longer: received instances, results, and the lines of the study list."""
    inbox = Inbox(config.storage)
    limit = now() - config.study.keep
    by_study: dict[str, bool] = {}
    for generation in steps.generations.generations():
        over = generation.state in TERMINAL and generation.updated_at < limit
        by_study[generation.study] = by_study.get(generation.study, True) and over
    for study, over in by_study.items():
        if over and inbox.remove(study, limit):
            for path in steps.results.forget(study):
                path.unlink(missing_ok=True)
            for folder in (config.storage.work, config.storage.outbox):
                for leftover in folder.glob(f"{short(study)}-*"):
                    shutil.rmtree(leftover, ignore_errors=True)
            logger.info("study %s: deleted, its time is over", short(study))
    sweep_ignored(inbox, config.study.keep)


def sweep_ignored(inbox: Inbox, keep: timedelta) -> None:
    """Delete instances that were received, never processed, and have lain for ``keep``."""
    limit = (now() - keep).timestamp()
    for path in inbox.ignored.glob("*/*"):
        if path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)
    for folder in inbox.ignored.iterdir():
        if folder.is_dir() and not any(folder.iterdir()) and folder.stat().st_mtime < limit:
            folder.rmdir()
