"""Finished rows side by side: methods or variants down, data sets across."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table

from models.evaluation.page import Figures
from models.evaluation.table import number
from models.evaluation.variant import Result

SCORES = ("dsc", "nsd")


@dataclass(frozen=True)
class Cell:
    """Mean and standard deviation over images in the papers' manner, and the interval by patient."""

    mean: float
    sd: float
    ci95: tuple[float, float] | None
    images: int

    @property
    def text(self) -> str:
        """Mean and standard deviation."""
        return f"{number(self.mean)} ± {number(self.sd)}"


@dataclass(frozen=True)
class Line:
    """One row: per data set and score a cell, None where the row could not be run, and why."""

    label: str
    cells: Mapping[str, Mapping[str, Cell]]
    reasons: Mapping[str, str]

    def overall(self, score: str, datasets: Sequence[str]) -> Cell | None:
        """Return the papers' column "All": the mean of the means, the root mean square of the deviations.

        None where a data set is missing, because the mean of fewer is another figure.
        """
        if len(datasets) < 2 or any(score not in self.cells.get(name, {}) for name in datasets):
            return None
        cells = [self.cells[name][score] for name in datasets]
        mean = sum(cell.mean for cell in cells) / len(cells)
        sd = math.sqrt(sum(cell.sd**2 for cell in cells) / len(cells))
        return Cell(mean, sd, None, sum(cell.images for cell in cells))


def line(label: str, results: Mapping[str, Result]) -> Line:
    """Return the row of one variant from its results by data set."""
    cells = {name: _cells(result.report) for name, result in results.items() if result.report is not None}
    reasons = {name: result.reason for name, result in results.items() if result.reason is not None}
    return Line(label, cells, reasons)


def _cells(report: Mapping[str, Any]) -> dict[str, Cell]:
    cells = {}
    for score in SCORES:
        values = [row[score] for row in report["images"] if row[score] is not None]
        if values:
            summary = report["summary"][score]
            interval = None if summary["ci95"] is None else (summary["ci95"][0], summary["ci95"][1])
            sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            cells[score] = Cell(summary["mean"], sd, interval, len(values))
    return cells


def figures(title: str, caption: str, lines: Sequence[Line], datasets: Sequence[str]) -> Figures:
    """Return the table: a column per data set and score, "All" where there are several, then the reasons."""
    names = [*datasets, *(["All"] if len(datasets) > 1 else [])]
    columns = ["", *(f"{name} {score.upper()}" for name in names for score in SCORES), "not available"]
    rows = [
        (one.label, *(_text(one, name, score, datasets) for name in names for score in SCORES), _why(one))
        for one in lines
    ]
    return Figures(title, f"mean ± standard deviation over images. {caption}", tuple(columns), tuple(rows))


def _text(one: Line, name: str, score: str, datasets: Sequence[str]) -> str:
    cell = one.overall(score, datasets) if name == "All" else one.cells.get(name, {}).get(score)
    return "-" if cell is None else cell.text


def _why(one: Line) -> str:
    reasons = set(one.reasons.values())
    if len(reasons) == 1:
        return f"not available: {reasons.pop()}"
    return "; ".join(f"{name}: not available: {reason}" for name, reason in one.reasons.items())


def terminal(shown: Figures) -> Table:
    """Return the same table for the terminal."""
    table = Table(title=shown.title, caption=shown.caption)
    for index, column in enumerate(shown.columns):
        table.add_column(column, justify="left" if index in {0, len(shown.columns) - 1} else "right")
    for row in shown.rows:
        table.add_row(*row)
    return table


def record(title: str, lines: Sequence[Line], datasets: Sequence[str]) -> dict[str, Any]:
    """Return the table for programs."""
    return {
        "schema_version": 1,
        "title": title,
        "datasets": list(datasets),
        "rows": [
            {
                "label": one.label,
                "scores": {
                    name: {score: asdict(cell) for score, cell in cells.items()}
                    for name, cells in one.cells.items()
                },
                "not_available": dict(one.reasons),
            }
            for one in lines
        ],
    }
