"""The measurement report of a series (PS3.16 TID 1500, Comprehensive 3D SR), also when nothing was found.

It refers to the SEG and the Parametric Map of the same run and says, segment by segment, what was measured;
a report without any measurement is the answer "nothing found".
"""

from collections.abc import Sequence

from highdicom import sr
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from operators.equipment import observer, result_header
from operators.findings import Findings
from operators.identity import encodable, stamp
from operators.measurement_groups import COMMENT, PROMPT, measurement_groups, text_item
from operators.provenance import NOT_FOR_DIAGNOSTIC_USE, Provenance
from operators.references import image_header
from operators.segmentation import needs_review
from operators.stack import ImageStack, window_rule
from operators.written import Written

_PROCEDURES = {
    "CT": Code("25045-6", "LN", "CT unspecified body region"),
    "MR": Code("25056-3", "LN", "MRI unspecified body region"),
    "PT": Code("44136-0", "LN", "PET unspecified body region"),
}
"""Of PS3.16 CID 100; its codes for other modalities are too young for many readers."""
_ANY_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
_REMARKS = sr.CodedConcept("C0034375", "UMLS", "Qualitative Evaluations")


def measurement_report(
    stack: ImageStack, findings: Findings, provenance: Provenance, written: Sequence[Written] = ()
) -> sr.Comprehensive3DSR:
    """Return the report of a series.

    Parameters
    ----------
    stack
        The source.
    findings
        What was found in it; nothing makes the report that says so.
    provenance
        What the result is made of.
    written
        The results of the same run. Of what was found, only what has a SEG among them is reported.

    Raises
    ------
    ValueError
        Something was found and nothing of it has a SEG: there is nothing to report on.
    """
    sources = [plane.reference for plane in stack.planes] + [item.sop_instance_uid for item in written]
    uid = provenance.instance_uid("SR", sources, window_rule(stack))
    with disable_value_validation():
        content = sr.MeasurementReport(
            observation_context=sr.ObservationContext(observer_device_context=observer(provenance)),
            procedure_reported=_PROCEDURES.get(stack.series.modality, _ANY_PROCEDURE),
            imaging_measurements=measurement_groups(stack, findings, provenance, written),
        )
        content[0].ContentSequence.append(_remarks(stack))
        result = sr.Comprehensive3DSR(
            evidence=[*(image_header(plane) for plane in stack.planes), *(item.header for item in written)],
            content=content[0],
            is_complete=True,
            **result_header("SR", uid, stack.series, provenance, needs_review(provenance, findings.found)),
        )
        stamp(result, stack, provenance, [sr.CodedConcept.from_code(PROMPT)])
    return result


def _remarks(stack: ImageStack) -> Dataset:
    """Return what is said about the report as a whole: its warning, and the series it is about."""
    series = stack.series
    images = "1 image" if series.images == 1 else f"{series.images} images"
    number = encodable(series.text("SeriesNumber"), stack.planes[0].instance.header) or "(no number)"
    item = sr.ContainerContentItem(_REMARKS, relationship_type=sr.RelationshipTypeValues.CONTAINS)
    item.ContentSequence = sr.ContentSequence(
        [
            text_item(COMMENT, f"{NOT_FOR_DIAGNOSTIC_USE}. Research result of software, verified by nobody."),
            text_item(COMMENT, f"Series {number}, {series.modality}, {images}: {series.series_instance_uid}"),
        ]
    )
    return item
