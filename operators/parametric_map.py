"""The DICOM Parametric Map of a quantity of a finding (PS3.3 A.75): float32 on the source's own grid."""

from collections.abc import Callable, Sequence

import numpy as np
from highdicom import PixelMeasuresSequence, PlanePositionSequence, VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.sr import CodedConcept
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from operators.equipment import result_header
from operators.findings import Findings, FloatArray, PlaneMap
from operators.frames import put_floats
from operators.identity import stamp
from operators.provenance import Provenance
from operators.quantity import QUANTITIES, Quantity
from operators.references import decimals, volume_sources
from operators.segmentation import fix_dimension_uid, needs_review
from operators.stack import VolumeStack
from operators.task import MapName

WHOLE_BYTES = 256 * 1024**2
"""256 slices of 512 x 512 as 32-bit floats: more is too much for an archive to keep beside the images."""

_SOURCE_PURPOSE = Code("121322", "DCM", "Source image for image processing operation")
_REGION = CodedConcept("38266002", "SCT", "Entire body as a whole")


def quantity_map(
    stack: VolumeStack, findings: Findings, provenance: Provenance, name: MapName = "entropy"
) -> ParametricMap:
    """Return the map of a quantity that a volume with a finding has: the largest over the targets."""
    review = needs_review(provenance, findings.found)
    return parametric_map(stack, QUANTITIES[name], findings.maps(name), provenance, review)


def parametric_map(
    stack: VolumeStack,
    quantity: Quantity,
    maps: Sequence[PlaneMap],
    provenance: Provenance,
    review: bool = False,
) -> ParametricMap:
    """Return the map of a quantity of a volume, on the source's whole grid where that is not too large.

    OHIF fills the volume of the source images with the stored values, first frame at the lowest slice, and
    refuses a map of another matrix: so there is a frame for every slice, and frames ascend along the slice
    normal. highdicom stores them the other way. A map of more than :data:`WHOLE_BYTES` is cropped to the
    slices and the rectangle that ``maps`` cover: OHIF does not show that, other readers place it. Plane
    positions and DerivationDescription say which part of the source is there. Frames are made when the object
    is written.

    Parameters
    ----------
    stack
        The source.
    quantity
        What the values are.
    maps
        At most one per plane, in ascending order; at least one.
    provenance
        What the result is made of.
    review
        Whether its series is marked [REVIEW].
    """
    box = _extent(stack, maps)
    uid = provenance.instance_uid(
        f"PM {quantity.label}", [plane.reference for plane in stack.planes], stack.window.rule
    )
    spacing = stack.grid.spacing
    where = _describe(stack, quantity, box)
    with disable_value_validation():
        result = ParametricMap(
            source_images=volume_sources(stack),
            pixel_array=np.zeros((box[0].stop - box[0].start, 1, 1), dtype=np.float32),
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[_mapping(quantity)],
            voi_lut_transformations=[VOILUTTransformation(window_center=0.5, window_width=1.0)],
            pixel_measures=PixelMeasuresSequence(spacing[1:], spacing[0], spacing[0]),
            plane_positions=_positions(stack, box),
            content_label=quantity.label,
            content_description=quantity.explanation,
            **result_header("PM", uid, stack.series, provenance, review, quantity.label),
        )
        result.ImageComments = f"{where} {provenance.record(stack.window.rule)}"[:10240]
        _anatomy(result)
        _ascending(result)
        put_floats(result, _cropped(maps, box))
        _derivation(result, stack, box, where)
        fix_dimension_uid(result, uid)
        stamp(result, stack, provenance, [CodedConcept.from_code(quantity.concept)])
    return result


Box = tuple[slice, slice, slice]
"""Slices, rows and columns of the volume, half open."""


def _extent(stack: VolumeStack, maps: Sequence[PlaneMap]) -> Box:
    slices, rows, columns = stack.grid.shape
    if 4 * slices * rows * columns <= WHOLE_BYTES:
        return slice(0, slices), slice(0, rows), slice(0, columns)
    return _bounding_box(maps)


def _bounding_box(maps: Sequence[PlaneMap]) -> Box:
    boxes = [plane.box for plane in maps]
    return (
        slice(maps[0].plane, maps[-1].plane + 1),
        slice(min(rows.start for rows, _ in boxes), max(rows.stop for rows, _ in boxes)),
        slice(min(columns.start for _, columns in boxes), max(columns.stop for _, columns in boxes)),
    )


def _cropped(maps: Sequence[PlaneMap], box: Box) -> Callable[[int], FloatArray]:
    """Return the function that makes frame ``index`` of the box, (rows, columns) float32."""
    by_frame = {plane.plane - box[0].start: plane for plane in maps}

    def frame(index: int) -> FloatArray:
        plane = by_frame.get(index, PlaneMap(index, ()))
        return plane.full(box[1].stop, box[2].stop)[box[1], box[2]]

    return frame


def _positions(stack: VolumeStack, box: Box) -> list[PlanePositionSequence]:
    """Return the LPS position of the first voxel of every cropped slice, from that slice's own position."""
    shift = stack.grid.affine[:3, 1] * box[1].start + stack.grid.affine[:3, 2] * box[2].start
    places = [np.asarray(plane.position) + shift for plane in stack.planes[box[0]]]
    return [PlanePositionSequence("PATIENT", [float(text) for text in decimals(place)]) for place in places]


def _describe(stack: VolumeStack, quantity: Quantity, box: Box) -> str:
    parts = (
        f"{name} {part.start + 1} to {part.stop} of {size}"
        for name, part, size in zip(("slices", "rows", "columns"), box, stack.grid.shape, strict=True)
    )
    return (
        f"{quantity.concept.meaning}, the largest over the targets, on {', '.join(parts)}; "
        f"values below {quantity.floor} are 0, as is everything outside."
    )


def _mapping(quantity: Quantity) -> RealWorldValueMapping:
    return RealWorldValueMapping(
        lut_label=quantity.label,
        lut_explanation=quantity.explanation,
        unit=codes.UCUM.NoUnits,
        value_range=(0.0, 1.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=quantity.concept,
    )


def _anatomy(result: Dataset) -> None:
    """Add the FrameAnatomySequence without which dcmqi cannot read a Parametric Map."""
    anatomy = Dataset()
    anatomy.FrameLaterality = "U"
    anatomy.AnatomicRegionSequence = [_REGION]
    result.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [anatomy]


def _ascending(result: Dataset) -> None:
    """Put the frames in the order of the stack: ascending along the slice normal."""
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
