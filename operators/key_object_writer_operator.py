"""Write the note that selects the key images."""

from operators.findings import Findings
from operators.key_object import key_object_selection
from operators.stack import ImageStack, VolumeStack
from operators.writer_operator import WriterOperator


class KeyObjectWriterOperator(WriterOperator):
    """Writes one KO for a series with a finding when the task asks; of pictures, those with a result."""

    def process(self, stack: ImageStack, findings: Findings) -> None:
        """Build and write."""
        found = findings.found if isinstance(stack, VolumeStack) else findings.found[: self.limit]
        if found and self.asks_for("ko"):
            self.write(key_object_selection(stack, found, self.provenance), "KO")
