"""What the supervisor's tests put in the worker's place: the real worker without models."""

from app import serve
from app.config import Config

_worker = serve.worker


def worker(config: Config) -> None:
    from app import worker as room
    from tests.app.graphs import FakeGraph

    room.load_graph = lambda _config: FakeGraph()
    _worker(config)
