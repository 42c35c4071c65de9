"""The DICOM Segmentation of a finding (PS3.3 A.51), masks or a label map, on the grid of the source."""

import copy
from collections.abc import Callable, Iterator, Sequence

import highdicom as hd
import numpy as np
import numpy.typing as npt
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from operators.equipment import MANUFACTURER, result_header
from operators.findings import BoolArray, Findings, PlaneFinding, mean_entropy
from operators.frames import put_bits, put_bytes, put_run_lengths
from operators.identifiers import derived_uid
from operators.identity import concept_of, encodable, stamp
from operators.provenance import Provenance
from operators.references import picture_source, volume_sources
from operators.slices import Slice
from operators.stack import ImageStack, PictureStack, VolumeStack
from operators.tracking import tracking_of

_COLOURS = ((255, 99, 71), (64, 160, 255), (255, 200, 0), (80, 220, 100), (200, 110, 255), (0, 210, 210))
Masks = Callable[[Dataset], BoolArray]
"""Returns the masks (targets, rows, columns) of the plane that an item of the per-frame groups refers to."""


def volume_segmentation(stack: VolumeStack, findings: Findings, provenance: Provenance) -> Segmentation:
    """Return the SEG of a volume: one segment per target.

    BINARY has one frame per slice and segment with a voxel, a label map one per slice. Every source image is
    referenced; positions, orientation and spacing are the source's own.
    """
    references = [plane.reference for plane in stack.planes]
    uid = provenance.instance_uid("SEG", references, stack.window.rule)
    count, rows, columns = stack.grid.shape
    # The planes of a multi-frame source are referenced in the order of its frames.
    order = sorted(range(count), key=lambda index: stack.planes[index].frame)
    place = {index: at for at, index in enumerate(order)}
    present = np.zeros((count, len(provenance.prompts)), dtype=np.bool_)
    for finding in findings.found:
        present[place[finding.plane]] = [target.pixels > 0 for target in finding.targets]
    by_source = {_place(stack.planes[finding.plane]): finding for finding in findings.found}

    def masks(frame: Dataset) -> BoolArray:
        return by_source[_source_of(frame)].full_masks(rows, columns)

    return _build(
        stack, findings.found, provenance, uid, stack.window.rule, volume_sources(stack), present, masks
    )


def picture_segmentation(stack: PictureStack, finding: PlaneFinding, provenance: Provenance) -> Segmentation:
    """Return the SEG of one picture, which has no position in a body.

    Viewers place a segmentation by its plane modules and hang without them, so the plane of the picture
    itself is written: origin (0, 0, 0), rows along x, columns along y, the picture's pixel spacing.
    """
    plane = stack.planes[finding.plane]
    rule = finding.window
    uid = provenance.instance_uid("SEG", [plane.reference], rule)
    source, spacing = picture_source(plane)
    whole = finding.full_masks(plane.instance.rows, plane.instance.columns)
    present = np.array([[target.pixels > 0 for target in finding.targets]])
    result = _build(stack, (finding,), provenance, uid, rule, [source], present, lambda _: whole)
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
    present: BoolArray,
    masks: Masks,
) -> Segmentation:
    """Build the SEG of ``sources``; ``present`` (sources, targets) says which targets have a pixel where."""
    kind = _storage_type(provenance, stack.planes[0], int(present.sum()))
    labelled = kind == "LABELMAP"
    pixels = np.any(present, axis=-1)[:, None, None] if labelled else present[:, None, None, :]
    with disable_value_validation():
        result = Segmentation(
            source_images=sources,
            pixel_array=np.asarray(pixels, dtype=np.uint8),
            segmentation_type=kind,
            fractional_type="OCCUPANCY",
            max_fractional_value=1,
            segment_descriptions=_segments(stack, stack.planes[findings[0].plane], provenance, window_rule),
            content_description=f"{provenance.task.method}, bundle {provenance.bundle}"[:64],
            content_label="TEXTSEG",
            omit_empty_frames=True,
            transfer_syntax_uid=RLELossless if labelled else ExplicitVRLittleEndian,
            **result_header("SEG", uid, stack.series, provenance, needs_review(provenance, findings)),
        )
        if isinstance(stack, VolumeStack):
            _number_frames(result, stack)
        if labelled:
            _drop_background(result)
            put_run_lengths(result, _label_frames(result, masks))
        else:
            put = put_bits if kind == "BINARY" else put_bytes
            put(result, _binary_frame(result, masks))
            overlap = any(finding.covered < finding.pixels for finding in findings)
            result.SegmentsOverlap = "YES" if overlap else "NO"
        _describe(result, stack, provenance)
        fix_dimension_uid(result, uid)
        concepts = [item for segment in result.SegmentSequence for item in _property_codes(segment)]
        stamp(result, stack, provenance, concepts)
    return result


def _storage_type(provenance: Provenance, plane: Slice, frames: int) -> str:
    """Return how segments are stored: as the task asks, but for bits of which a frame fills no whole bytes.

    OHIF 3.13 takes such frames in the wrong order of bits, or asks for them one by one, and Orthanc cuts them
    at bytes. So they become FRACTIONAL with a whole byte for every 0 and 1.
    """
    if provenance.task.segmentation_type == "labelmap":
        return "LABELMAP"
    whole_bytes = plane.instance.rows * plane.instance.columns % 8 == 0
    return "BINARY" if whole_bytes or frames == 1 else "FRACTIONAL"


def _binary_frame(result: Dataset, masks: Masks) -> Callable[[int], BoolArray]:
    """Return the function that makes the mask of frame ``index``, (rows, columns)."""
    shared = result.SharedFunctionalGroupsSequence[0].get("SegmentIdentificationSequence")
    frames = result.PerFrameFunctionalGroupsSequence

    def mask(index: int) -> BoolArray:
        segment = frames[index].get("SegmentIdentificationSequence", shared)[0].ReferencedSegmentNumber
        found: BoolArray = masks(frames[index])[segment - 1]
        return found

    return mask


def _label_frames(result: Dataset, masks: Masks) -> Iterator[npt.NDArray[np.unsignedinteger]]:
    """Yield (rows, columns) of segment numbers: a pixel of several targets belongs to the first of them."""
    for frame in result.PerFrameFunctionalGroupsSequence:
        yield label_map(masks(frame), np.uint8 if result.BitsAllocated == 8 else np.uint16)


def label_map(
    masks: BoolArray, dtype: type[np.unsignedinteger] = np.uint8
) -> npt.NDArray[np.unsignedinteger]:
    """Return the segment number of every pixel of masks (targets, rows, columns), 0 where there is none.

    A pixel that several targets claim belongs to the one that the task lists first.
    """
    labels = np.zeros(masks.shape[1:], dtype=dtype)
    for index in reversed(range(len(masks))):
        labels[masks[index]] = index + 1
    return labels


def picture_frame(finding: PlaneFinding, target: int) -> int:
    """Return the number (from 1) of the frame that shows ``target`` in the BINARY SEG of a picture."""
    return 1 + sum(before.pixels > 0 for before in finding.targets[:target])


def _drop_background(result: Dataset) -> None:
    """Leave the item for the background out, which shifts every colour by one in OHIF 3.13."""
    result.SegmentSequence = [item for item in result.SegmentSequence if item.SegmentNumber != 0]


def _place(plane: Slice) -> tuple[str, int]:
    """Return where a plane comes from: SOP Instance UID and number of the frame from 1."""
    return plane.instance.sop_instance_uid, plane.frame + 1


def _source_of(frame: Dataset) -> tuple[str, int]:
    """Return the same of the source image of an item of the per-frame groups."""
    image = frame.DerivationImageSequence[0].SourceImageSequence[0]
    return str(image.ReferencedSOPInstanceUID), int(image.get("ReferencedFrameNumber", 1))


def _number_frames(result: Dataset, stack: VolumeStack) -> None:
    """Give references to frames the numbers of the file: highdicom counts those of the header that it got.

    The two differ where the volume is one of several phases in a multi-frame object.
    """
    numbers = sorted(plane.frame + 1 for plane in stack.planes)
    for frame in result.PerFrameFunctionalGroupsSequence:
        for image in frame.DerivationImageSequence[0].SourceImageSequence:
            if "ReferencedFrameNumber" in image:
                image.ReferencedFrameNumber = numbers[image.ReferencedFrameNumber - 1]


def needs_review(provenance: Provenance, findings: Sequence[PlaneFinding]) -> bool:
    """Tell whether the members disagree so much inside the mask that a person should look first."""
    uncertainty = mean_entropy(findings)
    return uncertainty is not None and uncertainty > provenance.review_above


def _segments(
    stack: ImageStack, plane: Slice, provenance: Provenance, window_rule: str
) -> list[SegmentDescription]:
    """Return one description per target, with the algorithm and all its settings (PS3.3 C.8.20.4)."""
    algorithm = hd.AlgorithmIdentificationSequence(
        name=provenance.algorithm,
        family=codes.DCM.ArtificialIntelligence,
        version=provenance.software_version,
        source=MANUFACTURER,
    )
    algorithm[0].AlgorithmParameters = provenance.record(window_rule)
    source = stack.planes[0].instance.header
    tracked = [tracking_of(stack, plane, provenance.task, target) for target in provenance.task.targets]
    return [
        SegmentDescription(
            segment_number=number,
            segment_label=target.segment.label,
            segmented_property_category=concept_of(target.segment.category, source),
            segmented_property_type=concept_of(target.segment.type, source),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
            tracking_uid=tracking.uid,
            tracking_id=tracking.identifier,
            anatomic_regions=[concept_of(target.segment.region, source)] if target.segment.region else None,
            display_color=hd.color.CIELabColor.from_rgb(*_COLOURS[(number - 1) % len(_COLOURS)]),
        )
        for number, (target, tracking) in enumerate(
            zip(provenance.task.targets, tracked, strict=True), start=1
        )
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
