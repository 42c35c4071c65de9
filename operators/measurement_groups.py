"""The measurement groups of a report: a segment of a volume, a segment of a picture, an absent target.

(PS3.16 TID 1411 Volumetric ROI, TID 1410 Planar ROI, TID 1501 Measurement and Qualitative Evaluation Group.)
"""

from collections.abc import Sequence
from typing import TypeAlias, TypedDict

from highdicom import sr
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from operators.equipment import MANUFACTURER
from operators.findings import REASONS, Findings, PlaneFinding
from operators.identity import concept_of, encodable
from operators.measurements import Measurements, measure_picture, measure_volume
from operators.provenance import Provenance
from operators.quantity import ENTROPY
from operators.segmentation import picture_frame
from operators.slices import Slice
from operators.stack import ImageStack, PictureStack, VolumeStack, window_rule
from operators.task import PRIVATE_SCHEME
from operators.tracking import tracking_of
from operators.written import Written

Group: TypeAlias = (
    sr.VolumetricROIMeasurementsAndQualitativeEvaluations
    | sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | sr.MeasurementsAndQualitativeEvaluations
)

COMMENT = Code("121106", "DCM", "Comment")
PROMPT = Code("PROMPT", PRIVATE_SCHEME, "Text prompt")
RESULT = Code("RESULT", PRIVATE_SCHEME, "Result of the search")
NOTHING_FOUND = Code("NOTHING-FOUND", PRIVATE_SCHEME, "Nothing found, which does not mean absent")
PIXEL_COUNT = Code("PIXELS", PRIVATE_SCHEME, "Number of pixels of the segment")
_PIXELS = Code("{pixels}", "UCUM", "pixels")
_VOXEL_SUM = Code("126030", "DCM", "Sum of segmented voxel method for volume")
_OUTLINE = Code("OUTLINE", PRIVATE_SCHEME, "Longest distance on the outline of a region in one image")


class _Common(TypedDict):
    """What every kind of group says of its target."""

    tracking_identifier: sr.TrackingIdentifier
    finding_type: sr.CodedConcept
    finding_category: sr.CodedConcept
    finding_sites: list[sr.FindingSite] | None
    algorithm_id: sr.AlgorithmIdentification


def measurement_groups(
    stack: ImageStack, findings: Findings, provenance: Provenance, written: Sequence[Written]
) -> list[Group]:
    """Return the groups target by target: one per SEG that shows it, or one that says it was not found.

    A target that only pictures without a SEG show has none.
    """
    groups: list[Group] = []
    for target in range(len(provenance.task.targets)):
        if not any(finding.targets[target].pixels for finding in findings.planes):
            groups.append(_absent(stack, findings, provenance, target))
        elif isinstance(stack, VolumeStack):
            groups += _of_volume(stack, findings, provenance, target, written)
        else:
            groups += _of_pictures(stack, findings, provenance, target, written)
    return groups


def text_item(name: Code, text: str) -> sr.TextContentItem:
    """Return a text that a container contains."""
    return sr.TextContentItem(name, text, sr.RelationshipTypeValues.CONTAINS)


def _of_volume(
    stack: VolumeStack,
    findings: Findings,
    provenance: Provenance,
    target: int,
    written: Sequence[Written],
) -> list[Group]:
    measured = measure_volume(stack, findings, target)
    maps = [item for item in written if item.kind == "PM" and item.content_label == ENTROPY.label]
    groups: list[Group] = []
    for item in written:
        if item.kind != "SEG" or measured is None:
            continue
        source = sr.SourceSeriesForSegmentation(stack.series.series_instance_uid)
        group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=sr.ReferencedSegment(
                item.sop_class_uid, item.sop_instance_uid, target + 1, source_series=source
            ),
            measurements=_numbers(measured, maps),
            **_common(stack, None, provenance, target, stack.window.rule),
        )
        groups.append(_with_prompt(group, stack, provenance, target))
    return groups


def _of_pictures(
    stack: PictureStack,
    findings: Findings,
    provenance: Provenance,
    target: int,
    written: Sequence[Written],
) -> list[Group]:
    by_plane = {finding.plane: finding for finding in findings.found}
    groups: list[Group] = []
    for item in written:
        finding = by_plane.get(item.plane) if item.kind == "SEG" and item.plane is not None else None
        measured = measure_picture(stack, finding, target) if finding is not None else None
        if finding is None or measured is None:
            continue
        plane = stack.planes[finding.plane]
        group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=_segment_frame(item, finding, provenance, target, plane),
            measurements=_numbers(measured, []),
            **_common(stack, plane, provenance, target, finding.window),
        )
        groups.append(_with_prompt(group, stack, provenance, target))
    return groups


def _absent(stack: ImageStack, findings: Findings, provenance: Provenance, target: int) -> Group:
    group = sr.MeasurementsAndQualitativeEvaluations(
        qualitative_evaluations=[sr.QualitativeEvaluation(RESULT, NOTHING_FOUND)],
        **_common(stack, None, provenance, target, window_rule(stack)),
    )
    if not findings.found:
        group[0].ContentSequence.append(text_item(COMMENT, f"{findings.code}: {REASONS[findings.code]}"))
    return _with_prompt(group, stack, provenance, target)


def _common(
    stack: ImageStack, plane: Slice | None, provenance: Provenance, target: int, rule: str
) -> _Common:
    """Return what a group says of its target; ``plane`` is None where it is about the whole series."""
    source = stack.planes[0].instance.header
    segment = provenance.task.targets[target].segment
    tracking = tracking_of(stack, plane, provenance.task, provenance.task.targets[target])
    return _Common(
        tracking_identifier=sr.TrackingIdentifier(
            uid=tracking.uid, identifier=encodable(tracking.identifier, source)
        ),
        finding_type=concept_of(segment.type, source),
        finding_category=concept_of(segment.category, source),
        finding_sites=[sr.FindingSite(concept_of(segment.region, source))] if segment.region else None,
        algorithm_id=sr.AlgorithmIdentification(
            name=provenance.algorithm,
            version=provenance.software_version,
            parameters=[provenance.record(rule)],
            family=codes.DCM.ArtificialIntelligence,
            manufacturer=MANUFACTURER,
        ),
    )


def _with_prompt(group: Group, stack: ImageStack, provenance: Provenance, target: int) -> Group:
    source = stack.planes[0].instance.header
    prompts = encodable(" | ".join(provenance.prompts[target]), source)
    group[0].ContentSequence.append(text_item(PROMPT, prompts))
    return group


def _numbers(measured: Measurements, maps: Sequence[Written]) -> list[sr.Measurement]:
    """Return size, longest diameter and mean uncertainty, the latter with the map it was taken from."""
    length = codes.UCUM.Millimeter if measured.in_mm else _PIXELS
    return [
        _size(measured),
        sr.Measurement(codes.SCT.LongAxis, round(measured.diameter, 2), length, method=_OUTLINE),
        sr.Measurement(
            ENTROPY.concept,
            round(measured.uncertainty, 4),
            codes.UCUM.NoUnits,
            derivation=codes.SCT.Mean,
            referenced_images=[
                sr.SourceImageForMeasurement(item.sop_class_uid, item.sop_instance_uid) for item in maps
            ],
        ),
    ]


def _size(measured: Measurements) -> sr.Measurement:
    if measured.volume_ml is not None:
        volume = round(measured.volume_ml, 3)
        return sr.Measurement(codes.SCT.Volume, volume, codes.UCUM.CubicCentimeter, method=_VOXEL_SUM)
    if measured.area_mm2 is not None:
        return sr.Measurement(codes.SCT.Area, round(measured.area_mm2, 2), codes.UCUM.SquareMillimeter)
    return sr.Measurement(PIXEL_COUNT, measured.pixels, _PIXELS)


def _segment_frame(
    item: Written, finding: PlaneFinding, provenance: Provenance, target: int, plane: Slice
) -> sr.ReferencedSegmentationFrame:
    """Return the reference to a segment of a picture: its own frame, or its number in the one of a label map.

    highdicom writes both, which PS3.3 C.18.4 does not allow.
    """
    source = sr.SourceImageForSegmentation(
        plane.instance.sop_class_uid,
        plane.instance.sop_instance_uid,
        [plane.frame + 1] if plane.instance.frames > 1 else None,
    )
    frame = picture_frame(finding, target)
    reference = sr.ReferencedSegmentationFrame(
        item.sop_class_uid, item.sop_instance_uid, frame, target + 1, source
    )
    labelled = provenance.task.segmentation_type == "labelmap"
    superfluous = "ReferencedFrameNumber" if labelled else "ReferencedSegmentNumber"
    del reference[0].ReferencedSOPSequence[0][superfluous]
    return reference
