"""Write the Segmentation: one for a volume, one per picture with a finding."""

from operators.findings import Findings
from operators.segmentation import picture_segmentation, volume_segmentation
from operators.stack import ImageStack, VolumeStack
from operators.writer_operator import WriterOperator
from operators.written import Written


class SegmentationWriterOperator(WriterOperator):
    """Writes SEG files; none when nothing was found, because an empty SEG says nothing."""

    output = "written"

    def process(self, stack: ImageStack, findings: Findings) -> tuple[Written, ...]:
        """Build and write."""
        if not findings.found or not self.asks_for("seg"):
            return ()
        if isinstance(stack, VolumeStack):
            return (self.write(volume_segmentation(stack, findings, self.provenance), "SEG"),)
        return tuple(
            self.write(picture_segmentation(stack, finding, self.provenance), "SEG", finding.plane)
            for finding in findings.found[: self.limit]
        )
