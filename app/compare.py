"""``textseg compare``: whether the methods behind several reports differ on the same images."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import typer
from rich.console import Console

from models.errors import Code, ConfigError
from models.evaluation.compare import Metric, Unit, compare, read_report
from models.evaluation.statistics import estimate
from models.evaluation.table import comparison_table


def show_comparison(baseline: Path, reports: Sequence[Path], metric: str, unit: str, as_json: bool) -> None:
    """Print every report's difference from the baseline report, with Holm-corrected p-values.

    Raises
    ------
    ConfigError
        USAGE: an unknown metric or unit, or two reports of one path.
    DatasetError
        A file is no report, or a report of other images.
    """
    metrics: tuple[Metric, ...] = get_args(Metric)
    units: tuple[Unit, ...] = get_args(Unit)
    chosen = next((one for one in metrics if one == metric), None)
    counted = next((one for one in units if one == unit), None)
    if chosen is None or counted is None:
        raise ConfigError(
            Code.USAGE, f"--metric is one of {', '.join(metrics)}, --unit one of {', '.join(units)}"
        )
    if len(set(reports)) < len(reports):
        raise ConfigError(Code.USAGE, "a report is given twice; it would be counted as two comparisons")
    before = read_report(baseline)
    found = compare(before, {str(path): read_report(path) for path in reports}, chosen, counted)
    rows = before["images"]
    own = estimate([row[chosen] for row in rows], [before["patients"][row["name"]] for row in rows])
    if as_json:
        content = {
            "baseline": str(baseline),
            "metric": chosen,
            "unit": counted,
            "value": asdict(own),
            "comparisons": [asdict(one) for one in found],
        }
        typer.echo(json.dumps(content, indent=2, allow_nan=False))
        return
    Console().print(comparison_table(chosen, own, found, str(baseline)))
