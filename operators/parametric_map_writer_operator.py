"""Write the Parametric Map of the entropy of a volume."""

from operators.findings import Findings
from operators.parametric_map import entropy_map
from operators.stack import ImageStack, VolumeStack
from operators.writer_operator import WriterOperator
from operators.written import Written


class ParametricMapWriterOperator(WriterOperator):
    """Writes a PM file for a volume with a finding; pictures get a Secondary Capture instead."""

    output = "written"

    def process(self, stack: ImageStack, findings: Findings) -> tuple[Written, ...]:
        """Build and write."""
        if not (findings.found and isinstance(stack, VolumeStack) and self.asks_for("pm")):
            return ()
        return (self.write(entropy_map(stack, findings, self.provenance), "PM"),)
