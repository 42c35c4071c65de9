"""The study list as one small SQLite file: what became of every generation of every study.

The engine's own tables say which workflow runs; these say what people and steps need to know, and make every
step idempotent: what is recorded here as final is never computed or delivered again. It holds UIDs, paths,
states and codes, and no patient data.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

_TABLES = """
CREATE TABLE IF NOT EXISTS generations (
    study TEXT NOT NULL, number INTEGER NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, code TEXT,
    reason TEXT, quiet_at TEXT NOT NULL, updated_at TEXT NOT NULL, forced INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0, deaths INTEGER NOT NULL DEFAULT 0,
    inside INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (study, number));
CREATE TABLE IF NOT EXISTS instances (
    study TEXT NOT NULL, sop_instance TEXT NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (study, sop_instance));
CREATE TABLE IF NOT EXISTS runs (
    study TEXT NOT NULL, number INTEGER NOT NULL, series TEXT NOT NULL, task TEXT NOT NULL,
    digest TEXT NOT NULL, state TEXT NOT NULL, code TEXT, reason TEXT NOT NULL DEFAULT '',
    details TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (study, number, series, task));
CREATE TABLE IF NOT EXISTS objects (
    sop_instance TEXT PRIMARY KEY, study TEXT NOT NULL, number INTEGER NOT NULL, task TEXT NOT NULL,
    kind TEXT NOT NULL, path TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    sop_instance TEXT NOT NULL, ae TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    code TEXT, reason TEXT NOT NULL DEFAULT '', at TEXT, PRIMARY KEY (sop_instance, ae));
CREATE TABLE IF NOT EXISTS notes (
    study TEXT NOT NULL, at TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (study, text));
"""


class Database:
    """The file ``studies.sqlite``; safe to use from several threads and processes."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._path = root / "studies.sqlite"
        with self._connection() as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(_TABLES)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as db:
            db.row_factory = sqlite3.Row
            yield db

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction that excludes other writers; it is committed unless an exception leaves it."""
        with self._connection() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


def now() -> datetime:
    """Return this moment with its offset from UTC."""
    return datetime.now().astimezone()
