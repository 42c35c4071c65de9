"""What a piece of work costs: seconds of processor and clock, and the peak of memory.

Ratios are of processor time, so that they hold on a machine that does other work as well; the clock's time
stands beside it. Memory is the resident memory above that before, looked at every 5 ms.
"""

import ctypes
import gc
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """Seconds of processor and clock, and the peak of memory in MiB."""

    processor: float
    clock: float
    memory: float


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measured(work: Callable[[], Result]) -> tuple[Result, Cost]:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what earlier work left with the allocator would hide what this needs
    before = peak = resident()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    processor, clock = time.process_time(), time.perf_counter()
    try:
        result = work()
    finally:
        seconds = time.process_time() - processor, time.perf_counter() - clock
        done.set()
        watcher.join()
    return result, Cost(*seconds, peak - before)


def show(title: str, rows: Mapping[str, Cost]) -> None:
    """Print the costs; the last column is each one's processor time as a share of the first's."""
    table = Table("", "processor s", "clock s", "memory MiB", "of the first", title=title)
    first = next(iter(rows.values()))
    for name, cost in rows.items():
        share = f"{cost.processor / first.processor:.3f}"
        table.add_row(name, f"{cost.processor:.2f}", f"{cost.clock:.2f}", f"{cost.memory:.0f}", share)
    Console().print(table)
