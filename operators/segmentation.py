"""The DICOM Segmentation of a finding (PS3.3 A.51), BINARY, on the grid of the source images."""

import copy
from collections.abc import Sequence

import highdicom as hd
import numpy as np
import numpy.typing as npt
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from operators.findings import Findings, PlaneFinding, mean_entropy
from operators.identity import (
    MANUFACTURER,
    concept_of,
    derived_uid,
    encodable,
    stamp,
)
from operators.provenance import REVIEW_ENTROPY_BITS, Provenance
from operators.references import picture_source, volume_sources
from operators.slices import Slice
from operators.stack import ImageStack, PictureStack, VolumeStack

_COLOURS = ((255, 99, 71), (64, 160, 255), (255, 200, 0), (80, 220, 100), (200, 110, 255), (0, 210, 210))


def volume_segmentation(stack: VolumeStack, findings: Findings, provenance: Provenance) -> Segmentation:
    """Return the SEG of a volume: one segment per target, one frame per slice and segment with a voxel.

    Every source image is referenced; positions, orientation and spacing are the source's own.
    """
    references = [plane.reference for plane in stack.planes]
    uid = provenance.instance_uid("SEG", references, stack.window.rule)
    count, rows, columns = stack.grid.shape
    # The planes of a multi-frame source are referenced in the order of its frames.
    order = sorted(range(count), key=lambda index: stack.planes[index].frame)
    place = {index: at for at, index in enumerate(order)}
    pixels = np.zeros((count, rows, columns, len(provenance.prompts)), dtype=np.uint8)
    for finding in findings.found:
        pixels[place[finding.plane]] = finding.full_masks(rows, columns).transpose(1, 2, 0)
    sources = volume_sources(stack)
    result = _build(stack, findings.found, provenance, uid, stack.window.rule, sources, pixels)
    _number_frames(result, stack)
    return result


def picture_segmentation(stack: PictureStack, finding: PlaneFinding, provenance: Provenance) -> Segmentation:
    """Return the SEG of one picture, which has no position in a body.

    Viewers place a segmentation by its plane modules and hang without them, so the plane of the picture
    itself is written: origin (0, 0, 0), rows along x, columns along y, the picture's pixel spacing.
    """
    plane = stack.planes[finding.plane]
    rule = finding.window
    uid = provenance.instance_uid("SEG", [plane.reference], rule)
    source, spacing = picture_source(plane)
    masks = finding.full_masks(plane.instance.rows, plane.instance.columns)
    pixels = masks.transpose(1, 2, 0)[None].astype(np.uint8)
    result = _build(stack, (finding,), provenance, uid, rule, [source], pixels)
    _place_picture(result, spacing)
    refer_to_frame(result, plane)
    return result


def _build(
    stack: ImageStack,
    findings: Sequence[PlaneFinding],
    provenance: Provenance,
    uid: str,
    window_rule: str,
    sources: list[Dataset],
    pixels: npt.NDArray[np.uint8],
) -> Segmentation:
    descriptions = _segments(stack, provenance, window_rule)
    series = stack.series.series_instance_uid
    with disable_value_validation():
        result = Segmentation(
            source_images=sources,
            pixel_array=pixels,
            segmentation_type="BINARY",
            segment_descriptions=descriptions,
            series_instance_uid=derived_uid(uid, "series"),
            series_number=provenance.series_number("SEG", series),
            sop_instance_uid=uid,
            instance_number=1,
            manufacturer=MANUFACTURER,
            manufacturer_model_name=f"{MANUFACTURER} {provenance.task.method}",
            software_versions=provenance.software_version,
            device_serial_number=provenance.bundle_digest[:64],
            content_description=f"{provenance.task.method}, bundle {provenance.bundle}"[:64],
            content_label="TEXTSEG",
            series_description=provenance.series_description("SEG", needs_review(findings)),
            omit_empty_frames=True,
        )
        _describe(result, stack, provenance)
        fix_dimension_uid(result, uid)
        concepts = [item for segment in result.SegmentSequence for item in _property_codes(segment)]
        stamp(result, stack, provenance, concepts)
    return result


def _number_frames(result: Dataset, stack: VolumeStack) -> None:
    """Give references to frames the numbers of the file: highdicom counts those of the header that it got.

    The two differ where the volume is one of several phases in a multi-frame object.
    """
    numbers = sorted(plane.frame + 1 for plane in stack.planes)
    for frame in result.PerFrameFunctionalGroupsSequence:
        for image in frame.DerivationImageSequence[0].SourceImageSequence:
            if "ReferencedFrameNumber" in image:
                image.ReferencedFrameNumber = numbers[image.ReferencedFrameNumber - 1]


def needs_review(findings: Sequence[PlaneFinding]) -> bool:
    """Tell whether the members disagree so much inside the mask that a person should look first."""
    uncertainty = mean_entropy(findings)
    return uncertainty is not None and uncertainty > REVIEW_ENTROPY_BITS


def _segments(stack: ImageStack, provenance: Provenance, window_rule: str) -> list[SegmentDescription]:
    """Return one description per target, with the algorithm and all its settings (PS3.3 C.8.20.4)."""
    algorithm = hd.AlgorithmIdentificationSequence(
        name=f"{provenance.task.method} ({provenance.task.mode})",
        family=codes.DCM.ArtificialIntelligence,
        version=provenance.software_version,
        source=MANUFACTURER,
    )
    algorithm[0].AlgorithmParameters = provenance.record(window_rule)
    series = stack.series.series_instance_uid
    return [
        SegmentDescription(
            segment_number=number,
            segment_label=target.segment.label,
            segmented_property_category=concept_of(target.segment.category),
            segmented_property_type=concept_of(target.segment.type),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
            tracking_uid=provenance.tracking_uid(series, target.segment.label),
            tracking_id=f"{provenance.task.name}/{target.segment.label}",
            anatomic_regions=[concept_of(target.segment.region)] if target.segment.region else None,
            display_color=hd.color.CIELabColor.from_rgb(*_COLOURS[(number - 1) % len(_COLOURS)]),
        )
        for number, target in enumerate(provenance.task.targets, start=1)
    ]


def _describe(result: Dataset, stack: ImageStack, provenance: Provenance) -> None:
    """Write prompts and labels in what the source's character set can hold."""
    source = stack.planes[0].instance.header
    for item, target in zip(result.SegmentSequence, provenance.task.targets, strict=True):
        item.SegmentLabel = encodable(target.segment.label, source)[:64]
        item.SegmentDescription = encodable(" | ".join(target.prompts), source)[:1024]
        item.TrackingID = encodable(item.TrackingID, source)[:64]


def _property_codes(segment: Dataset) -> list[Dataset]:
    return [
        *segment.SegmentedPropertyCategoryCodeSequence,
        *segment.SegmentedPropertyTypeCodeSequence,
        *segment.get("AnatomicRegionSequence", []),
    ]


def fix_dimension_uid(result: Dataset, uid: str) -> None:
    """Replace the random DimensionOrganizationUID by one that follows from the result's UID."""
    organization = derived_uid(uid, "dimension organization")
    for item in [*result.DimensionOrganizationSequence, *result.DimensionIndexSequence]:
        item.DimensionOrganizationUID = organization


def _place_picture(result: Dataset, spacing: tuple[float, float]) -> None:
    shared = result.SharedFunctionalGroupsSequence[0]
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing = list(spacing)
    measures.SliceThickness = 1.0
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    for frame in result.PerFrameFunctionalGroupsSequence:
        position = Dataset()
        position.ImagePositionPatient = [0, 0, 0]
        frame.PlanePositionSequence = [position]


def refer_to_frame(result: Dataset, plane: Slice) -> None:
    """Make the references of a result made of one frame name that frame and the SOP class of its file."""
    of_frames = [
        image
        for frame in result.get("PerFrameFunctionalGroupsSequence", [])
        for derivation in frame.get("DerivationImageSequence", [])
        for image in derivation.SourceImageSequence
    ]
    of_result = copy.deepcopy(list(result.get("SourceImageSequence", [])))
    of_series = [
        image
        for series in result.get("ReferencedSeriesSequence", [])
        for image in series.ReferencedInstanceSequence
    ]
    # highdicom shares its items between the two sequences, and only one may name frames.
    result.SourceImageSequence = of_result
    for image in [*of_frames, *of_series, *of_result]:
        image.ReferencedSOPClassUID = plane.instance.sop_class_uid
    for image in [*of_frames, *of_result] if plane.instance.frames > 1 else []:
        image.ReferencedFrameNumber = plane.frame + 1
