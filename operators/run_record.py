"""What one run of the graph leaves behind besides files: how long each stage took, and what was written."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset

from operators.findings import Findings
from operators.stack import ImageStack
from operators.task import MapName

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the number of planes done and their total."""


@dataclass
class RunRecord:
    """Filled by the operators of one run.

    ``answered`` tells whether other pictures of the study already have an answer of this task. ``unwritten``
    are the planes of pictures that had findings beyond ``max_results_per_study``; ``unmapped`` the maps of
    the task that had no values. ``asked`` is, by target, how many members a vote that may end early
    asked on a plane: the fewest and the most.
    """

    output: Path
    progress: Progress
    answered: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    stack: ImageStack | None = None
    findings: Findings | None = None
    files: list[Path] = field(default_factory=list)
    sop_instance_uids: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)
    unmapped: list[MapName] = field(default_factory=list)
    asked: dict[int, tuple[int, int]] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    def write(self, result: Dataset, kind: str, task: str) -> None:
        """Write a result as ``<task>-<kind>-<SOP Instance UID>.dcm``, renamed when complete."""
        uid = str(result.SOPInstanceUID)
        path = self.output / f"{task}-{kind.lower()}-{uid}.dcm"
        unfinished = path.with_suffix(".part")
        result.save_as(unfinished, enforce_file_format=True)
        unfinished.replace(path)
        self.files.append(path)
        self.sop_instance_uids.append(uid)
        logger.info("wrote %s %s", kind, uid)
