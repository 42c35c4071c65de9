"""The report for people as one self-contained HTML file: figures, then the best, median and worst cases.

The file holds its pictures as data URIs, runs no script and loads nothing, so that it opens on a machine
without a network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from models.evaluation.files import replace_text
from models.evaluation.panels import Panel
from models.evaluation.plots import calibration_plots
from models.evaluation.report import Heading, summarise, summarise_stages
from models.evaluation.run import Row, Scored, statuses
from models.evaluation.statistics import Estimate
from models.evaluation.table import LABELS, STAGE_LABELS, interval, number

if TYPE_CHECKING:
    from jinja2 import Template

SHOWN = 3
"""Cases in each of the groups best, median and worst."""


@dataclass(frozen=True)
class Case:
    """One image of the page."""

    row: Row
    panels: tuple[Panel, ...]

    @property
    def name(self) -> str:
        """The image's name."""
        return self.row.name

    @property
    def score(self) -> str:
        """The case in one line."""
        parts = [f"DSC {number(self.row.dsc)}", f"NSD {number(self.row.nsd)}", self.row.status]
        return ", ".join([*parts, *filter(None, [self.row.code])])


@dataclass(frozen=True)
class Group:
    """Cases under one heading; ``open``: shown without a click."""

    title: str
    cases: tuple[Case, ...]
    open: bool


@dataclass(frozen=True)
class Figures:
    """A table: the first cell of every row is its heading."""

    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def evaluation_page(heading: Heading, scored: Sequence[Scored], cases: Sequence[Case]) -> str:
    """Return the page of one evaluation: its table, and every case, best, median and worst first."""
    what = heading.baseline or f"{heading.method}, {heading.mode}"
    seconds = sum(image.seconds for image in scored) / len(scored)
    counts = ", ".join(f"{count} {status}" for status, count in statuses(scored).items())
    return page(
        title=f"Evaluation of {heading.bundle}: {what}",
        lead=(
            f"prompt: {heading.prompt}",
            f"{len(scored)} images, {counts}",
            f"{seconds:.2f} s per image",
            f"textseg {heading.software_version}, bundle {heading.bundle_version}",
            f"seed {heading.seed}",
        ),
        notes=heading.notes,
        tables=(_summary(heading, scored),),
        plots=calibration_plots([one.calibration for one in scored if one.calibration is not None]),
        groups=ranked(cases),
    )


def page(
    title: str,
    lead: Sequence[str],
    notes: Sequence[str],
    tables: Sequence[Figures],
    plots: Sequence[Panel] = (),
    groups: Sequence[Group] = (),
) -> str:
    """Return a page. Every text is escaped, whatever a file name or a prompt holds."""
    return _template().render(title=title, lead=lead, notes=notes, tables=tables, plots=plots, groups=groups)


def ranked(cases: Sequence[Case]) -> tuple[Group, ...]:
    """Return the best, median and worst cases by DSC, then all others, and those without a target last.

    A case appears once. Ties keep the order of the names.
    """
    having = sorted(
        (case for case in cases if case.row.dsc is not None),
        key=lambda case: (-(case.row.dsc or 0.0), case.name),
    )
    best = having[:SHOWN]
    worst = having[SHOWN:][-SHOWN:]
    between = having[len(best) : len(having) - len(worst)]
    start = max(0, (len(between) - SHOWN) // 2)
    median = between[start : start + SHOWN]
    others = [case for case in between if case not in median]
    absent = [case for case in cases if case.row.dsc is None]
    groups = (
        Group("Best cases", tuple(best), open=True),
        Group("Median cases", tuple(median), open=True),
        Group("Worst cases", tuple(worst[::-1]), open=True),
        Group("All other cases", tuple(others), open=False),
        Group("Cases without the target", tuple(absent), open=False),
    )
    return tuple(group for group in groups if group.cases)


def write_page(where: Path, content: str) -> Path:
    """Write a page to a file, or as report.html into a folder; return the file's path."""
    path = (
        where if where.suffix.lower() in {".html", ".htm"} and not where.is_dir() else where / "report.html"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, content)
    return path


def _summary(heading: Heading, scored: Sequence[Scored]) -> Figures:
    values: dict[str, Estimate] = {LABELS[key]: value for key, value in summarise(scored).items()}
    values |= {STAGE_LABELS[key]: value for key, value in summarise_stages(scored).items()}
    patients = len({image.patient for image in scored})
    return Figures(
        title="Scores",
        caption=(
            f"Mean over images and 95 % bootstrap interval over {patients} patients; "
            f"NSD of 2-D contours at {heading.nsd_tolerance_px:g} pixels"
        ),
        columns=("metric", "mean", "95 % interval", "images"),
        rows=tuple(
            (label, number(value.mean), interval(value), str(value.images)) for label, value in values.items()
        ),
    )


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    source = files("models.evaluation").joinpath("page.html").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)
