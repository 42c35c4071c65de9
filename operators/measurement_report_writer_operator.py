"""Write the measurement report, also the one that says "nothing found"."""

from operators.findings import Findings
from operators.measurement_report import measurement_report
from operators.stack import ImageStack
from operators.writer_operator import WriterOperator
from operators.written import Written


class MeasurementReportWriterOperator(WriterOperator):
    """Writes one SR per series, after the objects that it refers to.

    Where something was found, when the task asks for it and there is a SEG to report on; where nothing was
    found, when all destinations take a report (otherwise a Secondary Capture says it).
    """

    inputs = ("stack", "findings", "segmentations", "maps")

    def process(
        self,
        stack: ImageStack,
        findings: Findings,
        segmentations: tuple[Written, ...],
        maps: tuple[Written, ...],
    ) -> None:
        """Build and write."""
        reports = self.asks_for("sr") and bool(segmentations)
        if reports or self.says_nothing(stack, findings, "SR"):
            report = measurement_report(stack, findings, self.provenance, (*segmentations, *maps))
            self.write(report, "SR")
