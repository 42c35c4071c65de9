"""The DICOM Parametric Map of a finding's entropy (PS3.3 A.75): float32, frames ascending, cropped."""

import numpy as np
from highdicom import PixelMeasuresSequence, PlanePositionSequence, VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.sr import CodedConcept
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from models.uncertainty import ENTROPY_FLOOR_BITS
from operators.findings import Findings, FloatArray
from operators.identity import MANUFACTURER, PRIVATE_SCHEME, derived_uid, stamp
from operators.provenance import Provenance
from operators.references import decimals, volume_sources
from operators.segmentation import fix_dimension_uid, needs_review
from operators.stack import VolumeStack

ENTROPY = Code("ENTROPY", PRIVATE_SCHEME, "Entropy of the mean probability (bits)")
"""No DCM code for entropy exists; the unit is in the meaning because UCUM has (1, no units) only."""
_SOURCE_PURPOSE = Code("121322", "DCM", "Source image for image processing operation")
_REGION = CodedConcept("38266002", "SCT", "Entire body as a whole")


def entropy_map(stack: VolumeStack, findings: Findings, provenance: Provenance) -> ParametricMap:
    """Return the entropy of a volume, cropped to the slices and the rectangle where anything matters.

    Values are bits in [0, 1], the largest over the targets. The object's plane positions and its
    DerivationDescription say which part of the source it covers. OHIF and dcmqi place frames in stored order
    from the lowest position, so frames ascend along the slice normal; highdicom stores them the other way.
    """
    box = _bounding_box(findings)
    pixels = _crop(stack, findings, box)
    uid = provenance.instance_uid("PM", [plane.reference for plane in stack.planes], stack.window.rule)
    spacing = stack.grid.spacing
    where = _describe(stack, box)
    with disable_value_validation():
        result = ParametricMap(
            source_images=volume_sources(stack),
            pixel_array=pixels,
            series_instance_uid=derived_uid(uid, "series"),
            series_number=provenance.series_number("PM", stack.series.series_instance_uid),
            sop_instance_uid=uid,
            instance_number=1,
            manufacturer=MANUFACTURER,
            manufacturer_model_name=f"{MANUFACTURER} {provenance.task.method}",
            software_versions=provenance.software_version,
            device_serial_number=provenance.bundle_digest[:64],
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[_mapping()],
            voi_lut_transformations=[VOILUTTransformation(window_center=0.5, window_width=1.0)],
            pixel_measures=PixelMeasuresSequence(spacing[1:], spacing[0], spacing[0]),
            plane_positions=_positions(stack, box),
            content_label="ENTROPY",
            content_description="Entropy (bits) of the members' mean probability, cropped",
            series_description=provenance.series_description("PM", needs_review(findings.found)),
        )
        result.ImageComments = f"{where} {provenance.record(stack.window.rule)}"[:10240]
        _anatomy(result)
        _ascending(result, pixels)
        _derivation(result, stack, box, where)
        fix_dimension_uid(result, uid)
        stamp(result, stack, provenance, [CodedConcept.from_code(ENTROPY)])
    return result


Box = tuple[slice, slice, slice]
"""Slices, rows and columns of the volume, half open."""


def _bounding_box(findings: Findings) -> Box:
    planes = findings.planes
    return (
        slice(planes[0].plane, planes[-1].plane + 1),
        slice(min(plane.top for plane in planes), max(plane.bottom for plane in planes)),
        slice(min(plane.left for plane in planes), max(plane.right for plane in planes)),
    )


def _crop(stack: VolumeStack, findings: Findings, box: Box) -> FloatArray:
    _, rows, columns = stack.grid.shape
    slices = box[0].stop - box[0].start
    pixels = np.zeros((slices, box[1].stop - box[1].start, box[2].stop - box[2].start), dtype=np.float32)
    for finding in findings.planes:
        pixels[finding.plane - box[0].start] = finding.full_entropy(rows, columns)[box[1], box[2]]
    return pixels


def _positions(stack: VolumeStack, box: Box) -> list[PlanePositionSequence]:
    """Return the LPS position of the first voxel of every cropped slice, from that slice's own position."""
    shift = stack.grid.affine[:3, 1] * box[1].start + stack.grid.affine[:3, 2] * box[2].start
    places = [np.asarray(plane.position) + shift for plane in stack.planes[box[0]]]
    return [PlanePositionSequence("PATIENT", [float(text) for text in decimals(place)]) for place in places]


def _describe(stack: VolumeStack, box: Box) -> str:
    parts = (
        f"{name} {part.start + 1} to {part.stop} of {size}"
        for name, part, size in zip(("slices", "rows", "columns"), box, stack.grid.shape, strict=True)
    )
    return (
        f"Entropy in bits of the mean probability over members, cropped to {', '.join(parts)}; "
        f"values below {ENTROPY_FLOOR_BITS} are 0, as is everything outside."
    )


def _mapping() -> RealWorldValueMapping:
    return RealWorldValueMapping(
        lut_label="ENTROPY",
        lut_explanation="Entropy in bits, 0 certain to 1 undecided",
        unit=codes.UCUM.NoUnits,
        value_range=(0.0, 1.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=ENTROPY,
    )


def _anatomy(result: Dataset) -> None:
    """Add the FrameAnatomySequence without which dcmqi cannot read a Parametric Map."""
    anatomy = Dataset()
    anatomy.FrameLaterality = "U"
    anatomy.AnatomicRegionSequence = [_REGION]
    result.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [anatomy]


def _ascending(result: Dataset, pixels: FloatArray) -> None:
    """Store frames in the order of ``pixels``: ascending along the slice normal."""
    frames = list(result.PerFrameFunctionalGroupsSequence)
    shared = result.SharedFunctionalGroupsSequence[0]
    cosines = np.asarray(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=np.float64)
    normal = np.cross(cosines[:3], cosines[3:])
    along = [
        float(np.asarray(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=np.float64) @ normal)
        for frame in frames
    ]
    frames = [frames[index] for index in np.argsort(along)]
    for number, frame in enumerate(frames, start=1):
        frame.FrameContentSequence[0].DimensionIndexValues = [number]
    result.PerFrameFunctionalGroupsSequence = frames
    result.FloatPixelData = np.ascontiguousarray(pixels, dtype="<f4").tobytes()


def _derivation(result: Dataset, stack: VolumeStack, box: Box, where: str) -> None:
    """Name, frame by frame, the source image of which this is a part."""
    planes = stack.planes[box[0]]
    for frame, plane in zip(result.PerFrameFunctionalGroupsSequence, planes, strict=True):
        image, derivation = Dataset(), Dataset()
        image.ReferencedSOPClassUID = plane.instance.sop_class_uid
        image.ReferencedSOPInstanceUID = plane.instance.sop_instance_uid
        if plane.instance.frames > 1:
            image.ReferencedFrameNumber = plane.frame + 1
        image.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(_SOURCE_PURPOSE)]
        image.SpatialLocationsPreserved = "NO"
        derivation.SourceImageSequence = [image]
        derivation.DerivationDescription = where
        derivation.DerivationCodeSequence = [CodedConcept.from_code(codes.DCM.ImageProcessing)]
        frame.DerivationImageSequence = [derivation]
