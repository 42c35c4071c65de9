"""Results: which task ran on which series, which objects came of it, and where they were delivered."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.study.database import Database, now
from app.study.generations import Generation
from app.study.states import RunState
from models.errors import Code


@dataclass(frozen=True)
class Run:
    """One task on one series of a generation; ``digest`` stands for the set of the series' instances.

    ``series`` is the Series Instance UID, with its phase where it is one of several volumes of the series.
    """

    series: str
    task: str
    digest: str
    state: RunState = RunState.PLANNED
    code: Code | None = None
    reason: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class ResultObject:
    """One DICOM object in the outbox, and the AEs (names of the configuration) it goes to."""

    sop_instance: str
    kind: str
    path: Path
    aes: tuple[str, ...]


@dataclass(frozen=True)
class Delivery:
    """One object on its way to one AE; ``state`` is ``pending``, ``sent`` or ``failed``."""

    sop_instance: str
    kind: str
    ae: str
    state: str
    path: Path
    attempts: int
    code: Code | None
    reason: str


_SELECT_DELIVERIES = """
SELECT d.sop_instance, o.kind, d.ae, d.state, o.path, d.attempts, d.code, d.reason
FROM deliveries d JOIN objects o ON o.sop_instance = d.sop_instance WHERE o.study = ? AND o.number = ?
ORDER BY d.ae, o.kind DESC, d.sop_instance
"""


class Results:
    """The runs, objects and deliveries of every generation. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def plan(self, generation: Generation, runs: Sequence[Run]) -> None:
        """Record what has to run, and what was refused at once. Runs known already are left as they are."""
        with self._database.transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        generation.study,
                        generation.number,
                        run.series,
                        run.task,
                        run.digest,
                        run.state,
                        run.code,
                        run.reason,
                        json.dumps(dict(run.details)),
                    )
                    for run in runs
                ],
            )

    def runs(self, generation: Generation) -> tuple[Run, ...]:
        """Return the runs of a generation in the order they were planned."""
        with self._database.transaction() as db:
            rows = db.execute(
                "SELECT * FROM runs WHERE study = ? AND number = ? ORDER BY rowid",
                (generation.study, generation.number),
            )
            return tuple(_run(row) for row in rows)

    def earlier_answer(self, generation: Generation, run: Run) -> int | None:
        """Return the earlier generation whose final answer came from the very same instances, if any."""
        with self._database.transaction() as db:
            row = db.execute(
                "SELECT max(number) AS number FROM runs WHERE study = ? AND number < ? "
                "AND series = ? AND task = ? AND digest = ? AND state IN (?, ?)",
                (
                    generation.study,
                    generation.number,
                    run.series,
                    run.task,
                    run.digest,
                    RunState.FOUND,
                    RunState.NOTHING_FOUND,
                ),
            ).fetchone()
            return None if row["number"] is None else int(row["number"])

    def replaced(self, generation: Generation, task: str) -> int | None:
        """Return the latest earlier generation that has objects of this task, if any."""
        with self._database.transaction() as db:
            row = db.execute(
                "SELECT max(number) AS number FROM objects WHERE study = ? AND number < ? AND task = ?",
                (generation.study, generation.number, task),
            ).fetchone()
            return None if row["number"] is None else int(row["number"])

    def finish(  # the columns of one row
        self,
        generation: Generation,
        run: Run,
        state: RunState,
        code: Code | None = None,
        reason: str = "",
        details: Mapping[str, object] | None = None,
        objects: Sequence[ResultObject] = (),
    ) -> None:
        """Record how a run ended, together with its objects and where they go."""
        with self._database.transaction() as db:
            self._set(db, generation, run, state, code, reason, details or {})
            for item in objects:
                db.execute(
                    "INSERT OR IGNORE INTO objects VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        item.sop_instance,
                        generation.study,
                        generation.number,
                        run.task,
                        item.kind,
                        str(item.path),
                    ),
                )
                db.executemany(
                    "INSERT OR IGNORE INTO deliveries (sop_instance, ae, state) VALUES (?, ?, 'pending')",
                    [(item.sop_instance, ae) for ae in item.aes],
                )

    @staticmethod
    def _set(
        db: sqlite3.Connection,
        generation: Generation,
        run: Run,
        state: RunState,
        code: Code | None,
        reason: str,
        details: Mapping[str, object],
    ) -> None:
        db.execute(
            "UPDATE runs SET state = ?, code = ?, reason = ?, details = ? "
            "WHERE study = ? AND number = ? AND series = ? AND task = ?",
            (
                state,
                code,
                reason,
                json.dumps(dict(details)),
                generation.study,
                generation.number,
                run.series,
                run.task,
            ),
        )

    def deliveries(self, generation: Generation) -> tuple[Delivery, ...]:
        """Return every object of a generation and every AE it goes to."""
        with self._database.transaction() as db:
            rows = db.execute(_SELECT_DELIVERIES, (generation.study, generation.number))
            return tuple(
                Delivery(
                    row["sop_instance"],
                    row["kind"],
                    row["ae"],
                    row["state"],
                    Path(row["path"]),
                    row["attempts"],
                    Code(row["code"]) if row["code"] else None,
                    row["reason"],
                )
                for row in rows
            )

    def delivered(self, delivery: Delivery, state: str, code: Code | None, reason: str) -> None:
        """Record how one attempt to deliver one object to one AE ended."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE deliveries SET state = ?, attempts = attempts + 1, code = ?, reason = ?, at = ? "
                "WHERE sop_instance = ? AND ae = ? AND state != 'sent'",
                (state, code, reason, now().isoformat(), delivery.sop_instance, delivery.ae),
            )

    def note(self, study: str, text: str) -> None:
        """Record a remark about a study once, for the status list."""
        with self._database.transaction() as db:
            db.execute("INSERT OR IGNORE INTO notes VALUES (?, ?, ?)", (study, now().isoformat(), text))

    def notes(self, study: str) -> tuple[str, ...]:
        """Return the remarks about a study, oldest first."""
        with self._database.transaction() as db:
            return tuple(
                row["text"]
                for row in db.execute("SELECT text FROM notes WHERE study = ? ORDER BY at", (study,))
            )

    def forget(self, study: str) -> tuple[Path, ...]:
        """Delete everything about a study and return the objects that lie in the outbox."""
        with self._database.transaction() as db:
            paths = tuple(
                Path(row["path"]) for row in db.execute("SELECT path FROM objects WHERE study = ?", (study,))
            )
            of_study = "(SELECT sop_instance FROM objects WHERE study = ?)"
            db.execute(f"DELETE FROM deliveries WHERE sop_instance IN {of_study}", (study,))  # noqa: S608 - constant
            for table in ("objects", "runs", "instances", "notes", "generations"):
                db.execute(f"DELETE FROM {table} WHERE study = ?", (study,))  # noqa: S608 - constant names
            return paths


def _run(row: sqlite3.Row) -> Run:
    return Run(
        row["series"],
        row["task"],
        row["digest"],
        RunState(row["state"]),
        Code(row["code"]) if row["code"] else None,
        row["reason"],
        json.loads(row["details"]),
    )
