"""Generations: which instances of a study were frozen together, when, and what became of them."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.log import short
from app.study.database import Database, now
from app.study.states import Event, RunState, State, next_state
from models.errors import Code


@dataclass(frozen=True)
class Generation:
    """One frozen set of a study's instances and what became of it."""

    study: str
    number: int
    state: State
    quiet_at: datetime
    code: Code | None = None
    reason: str = ""
    forced: bool = False
    attempt: int = 0
    deaths: int = 0
    updated_at: datetime = field(default_factory=now)

    @property
    def key(self) -> str:
        """Short name of study and generation, used for folders and workflow ids."""
        return f"{short(self.study)}-{self.number}"


class Generations:
    """The generations of every study. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def freeze(self, study: str, sop_instances: Sequence[str], quiet_at: datetime) -> Generation | None:
        """Open a generation that holds everything received so far; None when nothing is new.

        Generations that no worker has taken yet are overtaken by it.
        """
        with self._database.transaction() as db:
            known = self._known(db, study)
            new = [(study, sop) for sop in sop_instances if sop not in known]
            if not new:
                return None
            row = db.execute(
                "SELECT max(number) AS last FROM generations WHERE study = ?", (study,)
            ).fetchone()
            number = 0 if row["last"] is None else row["last"] + 1
            for earlier in self._select(db, study):
                if earlier.state in (State.QUIET, State.QUEUED):
                    self._move(db, earlier, Event.OVERTAKEN, None, "")
            db.execute(
                "INSERT INTO generations (study, number, key, state, quiet_at, updated_at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (study, number, short(study), State.QUIET, quiet_at.isoformat(), now().isoformat()),
            )
            db.executemany("INSERT INTO instances VALUES (?, ?, ?)", [(*item, number) for item in new])
            return self._one(db, study, number)

    @staticmethod
    def _known(db: sqlite3.Connection, study: str) -> frozenset[str]:
        rows = db.execute("SELECT sop_instance FROM instances WHERE study = ?", (study,))
        return frozenset(row["sop_instance"] for row in rows)

    def known(self, study: str) -> frozenset[str]:
        """Return the instances that some generation of a study holds."""
        with self._database.transaction() as db:
            return self._known(db, study)

    def members(self, generation: Generation) -> tuple[str, ...]:
        """Return the instances of a generation: what its freeze added, and everything before."""
        with self._database.transaction() as db:
            rows = db.execute(
                "SELECT sop_instance FROM instances WHERE study = ? AND number <= ? ORDER BY 1",
                (generation.study, generation.number),
            )
            return tuple(row["sop_instance"] for row in rows)

    def generation(self, study: str, number: int) -> Generation:
        """Return one generation; KeyError when there is none."""
        with self._database.transaction() as db:
            return self._one(db, study, number)

    def generations(self, study: str | None = None) -> tuple[Generation, ...]:
        """Return the generations of one study or of all, oldest first."""
        with self._database.transaction() as db:
            return self._select(db, study)

    def move(self, generation: Generation, event: Event, code: Code | None = None, reason: str = "") -> State:
        """Let an event happen to a generation and return its new state (the table decides)."""
        with self._database.transaction() as db:
            return self._move(db, generation, event, code, reason)

    def _move(
        self, db: sqlite3.Connection, generation: Generation, event: Event, code: Code | None, reason: str
    ) -> State:
        state = next_state(self._one(db, generation.study, generation.number).state, event)
        db.execute(
            "UPDATE generations SET state = ?, code = ?, reason = ?, updated_at = ? "
            "WHERE study = ? AND number = ?",
            (state, code, reason, now().isoformat(), generation.study, generation.number),
        )
        return state

    def enter(self, generation: Generation) -> int:
        """Record that a worker begins what could kill it; return how many deaths this study has caused.

        A worker that entered and never left has died in there.
        """
        where = (generation.study, generation.number)
        with self._database.transaction() as db:
            db.execute(
                "UPDATE generations SET deaths = deaths + inside, inside = 1 WHERE study = ? AND number = ?",
                where,
            )
            return self._one(db, *where).deaths

    def leave(self, generation: Generation) -> None:
        """Record that the worker survived."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE generations SET inside = 0 WHERE study = ? AND number = ?",
                (generation.study, generation.number),
            )

    def leave_all(self) -> None:
        """Record that the worker is stopped on purpose, so that its end does not count as a death."""
        with self._database.transaction() as db:
            db.execute("UPDATE generations SET inside = 0")

    def retry(self, generation: Generation) -> Generation:
        """Give a dead letter another life: final results and deliveries made stay, failures are forgotten."""
        where = (generation.study, generation.number)
        with self._database.transaction() as db:
            self._move(db, generation, Event.RETRIED, None, "")
            db.execute(
                "UPDATE generations SET forced = 1, attempt = attempt + 1, deaths = 0, inside = 0 "
                "WHERE study = ? AND number = ?",
                where,
            )
            db.execute(
                "DELETE FROM runs WHERE study = ? AND number = ? AND state NOT IN (?, ?)",
                (*where, RunState.FOUND, RunState.NOTHING_FOUND),
            )
            db.execute(
                "UPDATE deliveries SET state = 'pending', attempts = 0 WHERE state = 'failed' "
                "AND sop_instance IN (SELECT sop_instance FROM objects WHERE study = ? AND number = ?)",
                where,
            )
            return self._one(db, *where)

    @staticmethod
    def _select(db: sqlite3.Connection, study: str | None) -> tuple[Generation, ...]:
        where, values = ("", ()) if study is None else ("WHERE study = ?", (study,))
        rows = db.execute(f"SELECT * FROM generations {where} ORDER BY quiet_at, number", values)  # noqa: S608
        return tuple(
            Generation(
                row["study"],
                row["number"],
                State(row["state"]),
                datetime.fromisoformat(row["quiet_at"]),
                Code(row["code"]) if row["code"] else None,
                row["reason"] or "",
                bool(row["forced"]),
                row["attempt"],
                row["deaths"],
                datetime.fromisoformat(row["updated_at"]),
            )
            for row in rows
        )

    def _one(self, db: sqlite3.Connection, study: str, number: int) -> Generation:
        for generation in self._select(db, study):
            if generation.number == number:
                return generation
        raise KeyError(f"{short(study)}-{number}")
