"""``textseg status`` and ``textseg retry``: what became of every study, and another try for a dead letter."""

import json
import time
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.config import Config
from app.log import short
from app.study import engine
from app.study.database import Database
from app.study.generations import Generation, Generations
from app.study.inbox import Inbox
from app.study.results import Results
from app.study.states import RETRIABLE
from models.errors import Code, InputError
from operators.study import PHASE_MARK

_WIDTH = 160
RECEIVING = "receiving"
"""Shown for a study that has instances which no generation holds yet."""


def listing(config: Config) -> list[dict[str, object]]:
    """Return one JSON-able row per generation, oldest first, and one per study that still receives.

    Rows: ``study`` (the short id), ``study_instance_uid``, ``generation``, ``state``, ``received``,
    ``quiet_at``, ``code``, ``reason``, ``runs``, ``deliveries``, ``notes``.
    """
    database = Database(config.storage.root)
    generations, results, inbox = Generations(database), Results(database), Inbox(config.storage)
    rows = [_row(generation, generations, results) for generation in generations.generations()]
    receiving = [
        study for study in inbox.studies() if inbox.arrivals(study, generations.known(study)) is not None
    ]
    return rows + [_receiving(study, inbox, generations, results) for study in receiving]


def _row(generation: Generation, generations: Generations, results: Results) -> dict[str, object]:
    return {
        "study": short(generation.study),
        "study_instance_uid": generation.study,
        "generation": generation.number,
        "state": generation.state.value,
        "received": len(generations.members(generation)),
        "quiet_at": generation.quiet_at.isoformat(timespec="seconds"),
        "code": generation.code,
        "reason": generation.reason,
        "runs": [
            {
                "series_instance_uid": run.series.partition(PHASE_MARK)[0],
                "phase": run.series.partition(PHASE_MARK)[2] or None,
                "task": run.task,
                "state": run.state.value,
                "code": run.code,
                "reason": run.reason,
                **run.details,
            }
            for run in results.runs(generation)
        ],
        "deliveries": [
            {
                "sop_instance_uid": item.sop_instance,
                "kind": item.kind,
                "ae": item.ae,
                "state": item.state,
                "attempts": item.attempts,
                "reason": item.reason,
            }
            for item in results.deliveries(generation)
        ],
        "notes": list(results.notes(generation.study)),
    }


def _receiving(study: str, inbox: Inbox, generations: Generations, results: Results) -> dict[str, object]:
    return {
        "study": short(study),
        "study_instance_uid": study,
        "generation": len(generations.generations(study)),
        "state": RECEIVING,
        "received": len(inbox.instances(study)),
        "quiet_at": None,
        "code": None,
        "reason": "",
        "runs": [],
        "deliveries": [],
        "notes": list(results.notes(study)),
    }


def status(config: Config, as_json: bool = False) -> None:
    """Print the study list as a table, or as JSON for a program."""
    rows = listing(config)
    console = Console()
    if as_json:
        console.file.write(json.dumps(rows, indent=2) + "\n")
        return
    if not console.is_terminal:
        console.width = _WIDTH  # nobody's window sets a limit
    table = Table("study", "gen", "state", "images", "quiet", "delivered")
    table.add_column("code", no_wrap=True)
    table.add_column("reason")
    for row in rows:
        cells = [row["study"], row["generation"], row["state"], row["received"], _moment(row["quiet_at"])]
        cells += [_delivered(row["deliveries"]), row["code"] or "", escape(str(row["reason"]))]
        table.add_row(*map(str, cells))
    console.print(table if rows else "No study was received, or all were deleted when their time was over.")


def _moment(quiet_at: object) -> str:
    return datetime.fromisoformat(quiet_at).strftime("%m-%d %H:%M") if isinstance(quiet_at, str) else ""


def _delivered(deliveries: object) -> str:
    """Return for example ``PACS 2/2``."""
    counts: dict[str, list[int]] = {}
    for item in deliveries if isinstance(deliveries, list) else []:
        sent_and_all = counts.setdefault(item["ae"], [0, 0])
        sent_and_all[0] += item["state"] == "sent"
        sent_and_all[1] += 1
    return ", ".join(f"{ae} {sent}/{total}" for ae, (sent, total) in counts.items())


def retry(config: Config, study: str) -> None:
    """Ask the worker to try a study again; ``study`` is the short id of the status list or the UID.

    Raises
    ------
    InputError
        USAGE when there is no such study, or its latest generation is not one that can be retried.
    """
    generations = Generations(Database(config.storage.root)).generations()
    found = [item for item in generations if study in (item.study, short(item.study))]
    if not found:
        raise InputError(Code.USAGE, f"there is no study {study[:64]!a}; `textseg status` lists them")
    latest = found[-1]
    if latest.state not in RETRIABLE:
        states = ", ".join(sorted(RETRIABLE))
        raise InputError(
            Code.USAGE, f"study {short(latest.study)} is {latest.state}; only {states} can be retried"
        )
    client = engine.connect(config)
    try:
        client.enqueue(
            {
                "workflow_name": engine.RETRY_STUDY,
                "queue_name": engine.QUIET_QUEUE,
                "workflow_id": f"retry-{latest.key}-{latest.attempt + 1}-{int(time.time())}",
                "app_version": engine.APPLICATION_VERSION,
            },
            latest.study,
        )
    finally:
        client.destroy()
    Console().print(f"study {short(latest.study)} will be tried again; `textseg status` shows how it fares")
