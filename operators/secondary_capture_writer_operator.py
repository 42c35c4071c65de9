"""Write Secondary Captures: pictures of findings without a Frame of Reference, and "nothing found"."""

from operators.findings import Findings, PlaneFinding
from operators.secondary_capture import note, picture_of
from operators.stack import ImageStack, VolumeStack
from operators.writer_operator import WriterOperator


class SecondaryCaptureWriterOperator(WriterOperator):
    """Writes SC files.

    Pictures get one each in place of the map they cannot have; a volume gets one of the slice with its
    largest mask when the task asks for ``sc``; a series without a finding gets a note that says so, where a
    destination takes no report.
    """

    def process(self, stack: ImageStack, findings: Findings) -> None:
        """Build and write."""
        for plane in self._shown(stack, findings):
            self.write(picture_of(stack, plane, self.provenance), "SC")
        if self.says_nothing(stack, findings, "SC"):
            self.write(note(stack, self.provenance, "Nothing found", [f"Reason: {findings.code}"]), "SC")

    def _shown(self, stack: ImageStack, findings: Findings) -> tuple[PlaneFinding, ...]:
        if not findings.found:
            return ()
        if isinstance(stack, VolumeStack):
            largest = max(findings.found, key=lambda plane: int(plane.masks.sum()))
            return (largest,) if self.asks_for("sc") else ()
        unwritten = findings.found[self.limit :]
        self.record.unwritten.extend(stack.planes[plane.plane].reference for plane in unwritten)
        return findings.found[: self.limit] if self.asks_for("pm", "sc") else ()
