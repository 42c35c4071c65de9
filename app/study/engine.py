"""The durable engine's names: what listener, worker and commands must agree on to meet in one database.

DBOS keeps workflows in SQLite. Work enqueued under one application version stays enqueued under another, so
the version is ours to set, and it changes only together with a tried migration of waiting work.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from app.config import Config

if TYPE_CHECKING:
    from dbos import DBOSClient, DBOSConfig

APPLICATION = "textseg"
APPLICATION_VERSION = "1"
EXECUTOR = "worker"
"""Recovery goes by executor id: the restarted worker takes up what the killed one left."""

QUIET_QUEUE = "quiet"
GRAPH_QUEUE = "graph"
DELIVERY_QUEUE = "delivery"

STUDY_IS_QUIET = "study-is-quiet"
RETRY_STUDY = "retry-study"
COMPUTE_GENERATION = "compute-generation"
DELIVER_GENERATION = "deliver-generation"


def database_url(config: Config) -> str:
    """Return where the engine keeps its workflows."""
    return f"sqlite:///{config.storage.root / 'engine.sqlite'}"


def engine_config(config: Config) -> "DBOSConfig":
    """Return the engine's configuration for the worker: JSON in the database, quiet on the console."""
    from dbos import DBOSPortableJSONSerializer

    return {
        "name": APPLICATION,
        "system_database_url": database_url(config),
        "application_version": APPLICATION_VERSION,
        "executor_id": EXECUTOR,
        "serializer": DBOSPortableJSONSerializer(),
        "log_level": "ERROR",
        "console_log_level": "ERROR",
        "enable_otlp": False,
    }


def connect(config: Config) -> "DBOSClient":
    """Return a client of the engine. It never makes tables: until a worker has, using it raises."""
    from dbos import DBOSClient, DBOSPortableJSONSerializer

    return DBOSClient(
        system_database_url=database_url(config),
        serializer=DBOSPortableJSONSerializer(),
        application_name=APPLICATION,
        retry_connection_errors=False,
    )


def quiet_timer(config: Config, client: "DBOSClient") -> Callable[[str, str, float], None]:
    """Return ``arm(key, study, seconds)``: start STUDY_IS_QUIET for a study unless armed again before."""
    from dbos import DebouncerClient

    debouncer: DebouncerClient = DebouncerClient(
        client,
        {
            "workflow_name": STUDY_IS_QUIET,
            "queue_name": QUIET_QUEUE,
            "app_version": APPLICATION_VERSION,
        },
        debounce_timeout_sec=config.study.at_most.total_seconds(),
    )

    def arm(key: str, study: str, seconds: float) -> None:
        debouncer.debounce(key, seconds, study)

    return arm
