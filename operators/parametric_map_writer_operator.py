"""Write the Parametric Map of the entropy of a volume."""

from operators.findings import Findings
from operators.parametric_map import entropy_map
from operators.stack import ImageStack, VolumeStack
from operators.writer_operator import WriterOperator


class ParametricMapWriterOperator(WriterOperator):
    """Writes a PM file for a volume with a finding; pictures get a Secondary Capture instead."""

    def process(self, stack: ImageStack, findings: Findings) -> None:
        """Build and write."""
        if findings.found and isinstance(stack, VolumeStack) and self.asks_for("pm"):
            self.record.write(entropy_map(stack, findings, self.provenance), "PM", self.provenance.task.name)
