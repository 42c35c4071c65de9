"""What the writers have in common: they wait for the stack and its findings, and write files."""

from dataclasses import replace
from typing import ClassVar

from monai.deploy.core import Fragment  # type: ignore[attr-defined]
from pydicom.dataset import Dataset

from operators.findings import Findings
from operators.graph_operator import GraphOperator
from operators.provenance import Provenance
from operators.run_record import RunRecord
from operators.stack import ImageStack, VolumeStack
from operators.written import Written


class WriterOperator(GraphOperator):
    """``limit`` is the number of pictures of the series that may still get a result."""

    stage = "write"
    inputs: ClassVar[tuple[str, ...]] = ("stack", "findings")

    def __init__(
        self, fragment: Fragment, record: RunRecord, name: str, provenance: Provenance, limit: int
    ) -> None:
        self._provenance = provenance
        self.limit = limit
        super().__init__(fragment, record, name)

    @property
    def provenance(self) -> Provenance:
        """What a result is made of; how many members were asked is known after the vote."""
        targets = self._provenance.task.targets
        asked = {
            targets[target].segment.label: f"{fewest} to {most}"
            for target, (fewest, most) in sorted(self.record.asked.items())
        }
        return replace(self._provenance, asked=asked)

    def asks_for(self, *kinds: str) -> bool:
        """Tell whether the task's outputs name one of ``kinds``."""
        return not set(kinds).isdisjoint(self.provenance.task.outputs)

    def says_nothing(self, stack: ImageStack, findings: Findings, kind: str) -> bool:
        """Tell whether an object of ``kind`` has to say that nothing was found.

        A study may have a series for every picture: one note about them is enough, and none where another
        has a finding.
        """
        answered = self.record.answered and not isinstance(stack, VolumeStack)
        return not findings.found and not answered and self.provenance.task.says_nothing_as == kind

    def write(self, result: Dataset, kind: str, plane: int | None = None) -> Written:
        """Write a file and return how to refer to it; ``plane`` is the picture it was made of, if of one."""
        self.record.write(result, kind, self.provenance.task.name)
        return Written.of(result, kind, plane)
