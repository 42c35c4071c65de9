"""The worker: the durable engine, and the models, loaded once and kept warm."""

import fcntl
import logging
import os
import threading
from pathlib import Path
from typing import IO

from app.config import Config
from app.study.steps import Graph, Outcome, Request, Steps
from app.task_settings import check_settings
from models.errors import Code, ConfigError

logger = logging.getLogger(__name__)


def load_graph(config: Config) -> Graph:
    """Load the models and return the graph that uses them.

    Raises
    ------
    ConfigError
        A task's settings are not those of its method.
    ModelError
        A model file is missing or not the one its bundle names.
    """
    check_settings(config)
    from app.application import RunContext, run_task
    from models.bundles.bundle import load_bundle
    from models.method import Method

    method = Method(load_bundle(config.models.bundle, config.models.directory, config.models.device))

    def graph(request: Request) -> Outcome:
        context = RunContext(
            method,
            request.quiet_at,
            config.application.version,
            request.generation,
            request.replaces,
            request.results,
            request.answered,
        )
        return run_task(request.input_folder, request.output_folder, request.series, request.task, context)

    return graph


def work(config: Config, stop: threading.Event) -> None:
    """Load, say when ready, work until ``stop``, and end the process: a running graph cannot be stopped.

    Raises
    ------
    ConfigError
        Another worker is at work on the same state folder.
    ModelError
        The bundle cannot be loaded.
    """
    from app.study import retention, workflow

    with _only_worker(config.storage.root):
        steps = Steps(config, load_graph(config))
        workflow.launch(config, steps)
        logger.info("worker ready: bundle %s, %d tasks", config.models.bundle, len(config.tasks))
        while not stop.wait(retention.EVERY_SECONDS):
            retention.sweep(config, steps)
        # What was interrupted is taken up by the next worker and is nobody's fault.
        steps.generations.leave_all()
        logger.info("worker stopped")
        logging.shutdown()
        os._exit(0)


def _only_worker(root: Path) -> IO[bytes]:
    """Take the lock of the state folder; it falls with the process, however that ends."""
    root.mkdir(parents=True, exist_ok=True)
    lock = (root / "worker.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise ConfigError(
            Code.CONFIG_INVALID, f"another worker is at work on {root}; stop it, or set storage.root"
        ) from error
    return lock
