"""Write the Parametric Maps of a volume: of the entropy, or of what else the task asks for."""

from operators.findings import Findings
from operators.parametric_map import quantity_map
from operators.stack import ImageStack, VolumeStack
from operators.writer_operator import WriterOperator
from operators.written import Written


class ParametricMapWriterOperator(WriterOperator):
    """Writes a PM per map of the task for a volume with a finding; pictures get a Secondary Capture instead.

    A quantity that reaches its floor nowhere has no PM: a map of zeros would say more than is known. Where
    all members are one and the same path, this happens to the mutual information.
    """

    output = "written"

    def process(self, stack: ImageStack, findings: Findings) -> tuple[Written, ...]:
        """Build and write."""
        if not (findings.found and isinstance(stack, VolumeStack) and self.asks_for("pm")):
            return ()
        written = []
        for name in self.provenance.task.maps:
            if findings.maps(name):
                written.append(self.write(quantity_map(stack, findings, self.provenance, name), "PM"))
            else:
                self.record.unmapped.append(name)
        return tuple(written)
