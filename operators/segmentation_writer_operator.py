"""Write the Segmentation: one for a volume, one per picture with a finding."""

from operators.findings import Findings
from operators.segmentation import picture_segmentation, volume_segmentation
from operators.stack import ImageStack, VolumeStack
from operators.writer_operator import WriterOperator


class SegmentationWriterOperator(WriterOperator):
    """Writes SEG files; none when nothing was found, because an empty SEG says nothing."""

    def process(self, stack: ImageStack, findings: Findings) -> None:
        """Build and write."""
        if not findings.found or not self.asks_for("seg"):
            return
        if isinstance(stack, VolumeStack):
            results = [volume_segmentation(stack, findings, self.provenance)]
        else:
            chosen = findings.found[: self.limit]
            results = [picture_segmentation(stack, finding, self.provenance) for finding in chosen]
        for result in results:
            self.record.write(result, "SEG", self.provenance.task.name)
