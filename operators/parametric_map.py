"""The DICOM Parametric Map of a finding's entropy (PS3.3 A.75): float32 on the source's grid, ascending."""

import numpy as np
from highdicom import PixelMeasuresSequence, PlanePositionSequence, VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.sr import CodedConcept
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from models.uncertainty import ENTROPY_FLOOR_BITS
from operators.findings import Findings
from operators.identity import MANUFACTURER, PRIVATE_SCHEME, derived_uid, stamp
from operators.provenance import Provenance
from operators.references import decimals, volume_sources
from operators.segmentation import fix_dimension_uid, needs_review
from operators.slices import Slice
from operators.stack import VolumeStack

ENTROPY = Code("ENTROPY", PRIVATE_SCHEME, "Entropy of the mean probability (bits)")
"""No DCM code for entropy exists; the unit is in the meaning because UCUM has (1, no units) only."""
_SOURCE_PURPOSE = Code("121322", "DCM", "Source image for image processing operation")
_REGION = CodedConcept("38266002", "SCT", "Entire body as a whole")
_DERIVATION = (
    f"Entropy in bits of the mean probability over members; values below {ENTROPY_FLOOR_BITS} are 0."
)


def entropy_map(stack: VolumeStack, findings: Findings, provenance: Provenance) -> ParametricMap:
    """Return the entropy of a volume on all of the source's grid, one frame per slice.

    Values are bits in [0, 1], the largest over the targets. OHIF fills the volume of the source images with
    the stored values, first frame at the lowest slice, and refuses a map of another matrix: so there is a
    frame for every slice, and frames ascend along the slice normal. highdicom stores them the other way.
    """
    uid = provenance.instance_uid("PM", [plane.reference for plane in stack.planes], stack.window.rule)
    spacing = stack.grid.spacing
    with disable_value_validation():
        result = ParametricMap(
            source_images=volume_sources(stack),
            # highdicom describes the frames; their values are written once, below.
            pixel_array=np.zeros((len(stack.planes), 1, 1), dtype=np.float32),
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
            plane_positions=[_position(plane) for plane in stack.planes],
            content_label="ENTROPY",
            content_description="Entropy (bits) of the members' mean probability",
            series_description=provenance.series_description("PM", needs_review(findings.found)),
        )
        result.ImageComments = f"{_DERIVATION} {provenance.record(stack.window.rule)}"[:10240]
        _anatomy(result)
        _ascending(result)
        _write_values(result, stack, findings)
        _derivation(result, stack)
        fix_dimension_uid(result, uid)
        stamp(result, stack, provenance, [CodedConcept.from_code(ENTROPY)])
    return result


def _position(plane: Slice) -> PlanePositionSequence:
    return PlanePositionSequence("PATIENT", [float(text) for text in decimals(plane.position or ())])


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


def _ascending(result: Dataset) -> None:
    """Put the frames in ascending order along the slice normal."""
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


def _write_values(result: Dataset, stack: VolumeStack, findings: Findings) -> None:
    """Write the matrix and the values in stack order, held in memory once: a volume may have gigabytes."""
    count, result.Rows, result.Columns = stack.grid.shape
    nothing = np.zeros(stack.grid.shape[1:], dtype="<f4").tobytes()
    frames = [nothing] * count
    for finding in findings.planes:
        frames[finding.plane] = finding.full_entropy(result.Rows, result.Columns).astype("<f4").tobytes()
    result.FloatPixelData = b"".join(frames)


def _derivation(result: Dataset, stack: VolumeStack) -> None:
    """Name, frame by frame, the source image on whose pixels the values lie."""
    for frame, plane in zip(result.PerFrameFunctionalGroupsSequence, stack.planes, strict=True):
        image, derivation = Dataset(), Dataset()
        image.ReferencedSOPClassUID = plane.instance.sop_class_uid
        image.ReferencedSOPInstanceUID = plane.instance.sop_instance_uid
        if plane.instance.frames > 1:
            image.ReferencedFrameNumber = plane.frame + 1
        image.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(_SOURCE_PURPOSE)]
        image.SpatialLocationsPreserved = "YES"
        derivation.SourceImageSequence = [image]
        derivation.DerivationDescription = _DERIVATION
        derivation.DerivationCodeSequence = [CodedConcept.from_code(codes.DCM.ImageProcessing)]
        frame.DerivationImageSequence = [derivation]
