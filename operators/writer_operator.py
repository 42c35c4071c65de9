"""What the three writers have in common: they wait for the stack and its findings, and write files."""

from monai.deploy.core import Fragment  # type: ignore[attr-defined]

from operators.graph_operator import GraphOperator
from operators.provenance import Provenance
from operators.run_record import RunRecord


class WriterOperator(GraphOperator):
    """``limit`` is the number of pictures of the series that may still get a result."""

    stage = "write"
    inputs = ("stack", "findings")

    def __init__(
        self, fragment: Fragment, record: RunRecord, name: str, provenance: Provenance, limit: int
    ) -> None:
        self.provenance = provenance
        self.limit = limit
        super().__init__(fragment, record, name)

    def asks_for(self, *kinds: str) -> bool:
        """Tell whether the task's outputs name one of ``kinds``."""
        return not set(kinds).isdisjoint(self.provenance.task.outputs)
