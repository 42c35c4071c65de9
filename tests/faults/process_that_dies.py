"""Start a real process of the service that kills itself, once, at a named point.

``python -m tests.faults.process_that_dies SITE worker|listener GRAPH POINT WHEN MARKER``: ``POINT`` is
``module:attribute.path`` of a function; WHEN is ``before`` or ``after`` its call number N (``after:2``);
MARKER is a file made just before the SIGKILL, so that a restart with the same arguments lives. GRAPH is
``real``; ``fake`` for a worker without models; ``slow`` for one whose graph never ends.
"""

import functools
import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app import serve
from app.config import load_config


def plant(point: str, when: str, marker: Path) -> None:
    """Wrap the function at ``point`` so that it kills this process unless ``marker`` exists."""
    module, path = point.split(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for step in owners:
        owner = getattr(owner, step)
    original: Callable[..., Any] = getattr(owner, name)
    side, _, count = when.partition(":")
    calls = 0

    def die() -> None:
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(original)
    def dying(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        strikes = calls == int(count or 1) and not marker.exists()
        if strikes and side == "before":
            die()
        result = original(*arguments, **options)
        if strikes:
            die()
        return result

    setattr(owner, name, dying)


def main() -> None:
    site, process, graph, point, when, marker = sys.argv[1:]
    if graph != "real":
        from app import worker
        from tests.app.graphs import FakeGraph, slow_graph

        worker.load_graph = lambda _config: FakeGraph() if graph == "fake" else slow_graph
    if point != "never":
        plant(point, when, Path(marker))
    getattr(serve, process)(load_config(site=Path(site)))


if __name__ == "__main__":
    main()
