"""Time, size and peak memory of the largest results: `make benchmark` prints them for this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from tests.benchmarks.long_ct import write_source

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
KINDS = ("SEG binary", "SEG labelmap", "PM")
PEAK_MAX_MB = 1500


def measured(kind: str, folder: Path, path: Path) -> dict[str, float]:
    """What a process of its own took to write one result: memory is never given back within one."""
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "benchmarks" / "long_ct.py", kind, folder, path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_long_ct_is_read_and_its_results_written_in_bounded_memory(tmp_path: Path) -> None:
    write_source(tmp_path / "ct")
    rows = {kind: measured(kind, tmp_path / "ct", tmp_path / "result.dcm") for kind in KINDS}
    title = "600 slices of 512 x 512, 3 segments"
    table = Table("", "seconds", "MB", "peak memory, MB", "before writing, MB", title=title)
    for kind, row in rows.items():
        numbers = (row["seconds"], row["megabytes"], row["peak"], row["before"])
        table.add_row(kind, *(f"{number:.1f}" for number in numbers))
    Console().print(table)
    assert max(row["peak"] for row in rows.values()) < PEAK_MAX_MB
