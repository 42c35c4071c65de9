"""Write Secondary Captures: pictures of findings without a Frame of Reference, and "nothing found"."""

from operators.findings import Findings, PlaneFinding
from operators.secondary_capture import note, picture_of
from operators.stack import ImageStack, VolumeStack
from operators.writer_operator import WriterOperator


class SecondaryCaptureWriterOperator(WriterOperator):
    """Writes SC files.

    Pictures get one each in place of the map they cannot have; a volume gets one of the slice with its
    largest mask when the task asks for ``sc``; a series without a finding gets a note that says so. A study
    may have a series for every picture: one note about them is enough, and none where another has a finding.
    """

    def process(self, stack: ImageStack, findings: Findings) -> None:
        """Build and write."""
        if findings.found:
            results = [picture_of(stack, plane, self.provenance) for plane in self._shown(stack, findings)]
        elif self.record.answered and not isinstance(stack, VolumeStack):
            results = []
        else:
            results = [note(stack, self.provenance, "Nothing found", [f"Reason: {findings.code}"])]
        for result in results:
            self.record.write(result, "SC", self.provenance.task.name)

    def _shown(self, stack: ImageStack, findings: Findings) -> tuple[PlaneFinding, ...]:
        if isinstance(stack, VolumeStack):
            largest = max(findings.found, key=lambda plane: int(plane.masks.sum()))
            return (largest,) if self.asks_for("sc") else ()
        unwritten = findings.found[self.limit :]
        self.record.unwritten.extend(stack.planes[plane.plane].reference for plane in unwritten)
        return findings.found[: self.limit] if self.asks_for("pm", "sc") else ()
