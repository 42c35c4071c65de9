"""What the service itself says about the demonstration's studies: the rows of `textseg status --json`."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.demo.answers import Told
from app.study.states import TERMINAL, RunState

Row = Mapping[str, Any]


class Story:
    """The latest row of each study."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = {row["study_instance_uid"]: row for row in rows}  # oldest first: the last one stays

    def finished(self, study: str) -> bool:
        """Return whether the service has nothing left to do for a study."""
        return study in self._rows and self._rows[study]["state"] in TERMINAL

    def state(self, study: str) -> str:
        """Return in a few words where a study is."""
        if study not in self._rows:
            return "sent"
        row = self._rows[study]
        done = sum(run["state"] != RunState.PLANNED for run in row["runs"])
        words = [row["state"], f"{done} of {len(row['runs'])} questions answered" if row["runs"] else ""]
        return ", ".join(word for word in (*words, row["code"]) if word)

    def reasons(self, study: str) -> list[str]:
        """Return what the service says went wrong with a study, code first."""
        if study not in self._rows:
            return []
        row = self._rows[study]
        wrong = [row, *(run for run in row["runs"] if run["state"] in {RunState.REFUSED, RunState.FAILED})]
        return [f"{item['code']}: {item['reason']}" for item in wrong if item["code"]]

    def told(self, study: str, task: str) -> Told:
        """Return what the service says about one task on a study."""
        for run in self._rows[study]["runs"] if study in self._rows else ():
            if run["task"] == task:
                return Told(run.get("seconds", {}), run.get("uncertainty"))
        return Told()
