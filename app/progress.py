"""The bars of long commands: what is done, how many of how many, how long it took and may yet take.

They go to standard error, so that standard output holds results alone.
"""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def counted(console: Console | None = None, *, transient: bool = False) -> Progress:
    """Return bars that count; ``transient`` ones leave the terminal when they are done."""
    return Progress(*_columns(), console=console or Console(stderr=True), transient=transient)


def of_training(console: Console | None = None) -> Progress:
    """Return bars that count and say at the end how well it goes: every task has a text ``loss``."""
    columns = (*_columns(), TextColumn("{task.fields[loss]}"))
    return Progress(*columns, console=console or Console(stderr=True))


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
