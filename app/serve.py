"""The service's processes: listener and worker, each alone or both under one supervisor."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess

from app.config import Config
from app.log import log_to_stderr

logger = logging.getLogger(__name__)

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_STEADY = 300.0
"""A process that ran for so many seconds is restarted at once, not with the wait of its last failures."""
_STOP_WITHIN = 30.0
_HEAD_START = 2.0


def stop_requested() -> threading.Event:
    """Return an event that is set by SIGTERM, by SIGINT, and when the supervisor is gone."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            parent.join()
            stop.set()

        threading.Thread(target=watch, name="parent", daemon=True).start()
    return stop


def listener(config: Config) -> None:
    """Run the listener until SIGTERM or SIGINT."""
    from app.listener.node import Node

    log_to_stderr()
    stop = stop_requested()
    node = Node(config)
    node.start()
    stop.wait()
    node.stop()
    logger.info("listener stopped")


def worker(config: Config) -> None:
    """Run one worker until SIGTERM or SIGINT."""
    from app.worker import work

    log_to_stderr()
    work(config, stop_requested())


@dataclass
class _Child:
    """One supervised process and how it fared."""

    name: str
    target: Callable[[Config], None]
    process: BaseProcess | None = None
    started: float = 0.0
    wait: float = _FIRST_WAIT
    due: float = field(default=0.0)

    def tend(self, config: Config) -> None:
        """Start the process if it is due; notice when it has ended and say when it is due again."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.due:
                self.process = _spawn(self.name, self.target, config)
                self.started = now
            return
        if self.process.is_alive():
            return
        self.wait = _FIRST_WAIT if now - self.started > _STEADY else min(2 * self.wait, _LONGEST_WAIT)
        self.due = now + self.wait
        logger.error("%s ended with %s; restarting in %.0f s", self.name, self.process.exitcode, self.wait)
        self.process = None


def _spawn(name: str, target: Callable[[Config], None], config: Config) -> BaseProcess:
    """Start a process that shares nothing with this one but the configuration."""
    process = multiprocessing.get_context("spawn").Process(target=target, name=name, args=(config,))
    process.start()
    logger.info("%s started, process %d", name, process.pid)
    return process


def serve(config: Config) -> None:
    """Run listener and worker, restarting the one that ends, until SIGTERM or SIGINT."""
    log_to_stderr()
    stop = stop_requested()
    logger.info("serving from process %d, state in %s", os.getpid(), config.storage.root)
    # The worker imports for many seconds; the listener answers before that.
    children = [_Child("listener", listener), _Child("worker", worker, due=time.monotonic() + _HEAD_START)]
    while not stop.wait(0.2):
        for child in children:
            child.tend(config)
    running = [child.process for child in children if child.process is not None]
    for process in running:
        process.terminate()
    end = time.monotonic() + _STOP_WITHIN
    for process in running:
        process.join(max(0.1, end - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
    logger.info("stopped")
