"""The source images as the writers need them: small headers that never lack what a writer asks for.

highdicom reads a dozen elements of its source images and raises a bare AttributeError where one is absent.
So it gets headers that are built here from what was judged, and what the source did not say is recorded.
Their images have one pixel: the writers put size and pixels of the result in (:mod:`operators.frames`).
"""

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.uid import UltrasoundImageStorage

from operators import header as tags
from operators.identifiers import substitute_uid
from operators.slices import Slice
from operators.sop_classes import ENHANCED
from operators.spacing import picture_spacing, pixel_shape
from operators.stack import ImageStack, PictureStack, VolumeStack

_TYPE_2 = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)


def volume_sources(stack: VolumeStack) -> list[Dataset]:
    """Return the headers of a volume's planes in stack order, or the one header of a multi-frame source.

    All carry the orientation and spacing of the first plane: viewers refuse a result whose cosines differ in
    the last digit between frames.
    """
    first = stack.planes[0]
    if first.instance.sop_class_uid in ENHANCED:
        return [_multiframe_source(stack)]
    return [_plane_source(plane, first, stack) for plane in stack.planes]


def picture_source(plane: Slice) -> tuple[Dataset, tuple[float, float]]:
    """Return the header of one picture without any position, and the size of its pixels.

    In mm where that is known, otherwise as :func:`operators.spacing.pixel_shape` tells it.

    It is presented as a single image of a class that has no frames; the writers put its own class, and its
    number among the frames, into every reference.
    """
    source = image_header(plane)
    source.SOPClassUID = UltrasoundImageStorage
    spacing = pixel_shape(plane)
    source.PixelSpacing = list(spacing)
    return source, spacing


def frame_of_reference_uid(plane: Slice) -> str:
    """Return FrameOfReferenceUID; for a series without one, a UID that follows from the series' UID."""
    found = tags.text(plane.instance.header, "FrameOfReferenceUID")
    return found or substitute_uid(["FrameOfReferenceUID", plane.instance.series_instance_uid])


def filled_in(stack: ImageStack) -> tuple[str, ...]:
    """Return the keywords that the source lacks and a result needs, in alphabetical order."""
    plane = stack.planes[0]
    absent = {keyword for keyword in _TYPE_2 if not tags.text(plane.instance.header, keyword)}
    absent |= set(plane.instance.filled)
    if isinstance(stack, PictureStack):
        absent |= set() if picture_spacing(plane) else {"PixelSpacing"}
    else:
        absent |= set() if plane.spacing else {"PixelSpacing"}
        absent |= set() if plane.thickness else {"SliceThickness"}
        absent |= (
            set() if tags.text(plane.instance.header, "FrameOfReferenceUID") else {"FrameOfReferenceUID"}
        )
    return tuple(sorted(absent))


def image_header(plane: Slice) -> Dataset:
    """Return what every header of an image needs; identity is blank and copied verbatim into the result."""
    instance = plane.instance
    source = Dataset()
    for keyword in _TYPE_2:
        setattr(source, keyword, None if keyword in {"StudyDate", "StudyTime", "PatientBirthDate"} else "")
    source.SOPClassUID = instance.sop_class_uid
    source.SOPInstanceUID = instance.sop_instance_uid
    source.StudyInstanceUID = instance.study_instance_uid
    source.SeriesInstanceUID = instance.series_instance_uid
    source.Modality = instance.modality
    source.Rows = source.Columns = 1
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        found = tags.value(instance.header, keyword)
        if found is not None:
            setattr(source, keyword, found)
    return source


def _plane_source(plane: Slice, first: Slice, stack: VolumeStack) -> Dataset:
    source = image_header(plane)
    source.FrameOfReferenceUID = frame_of_reference_uid(first)
    source.PositionReferenceIndicator = tags.text(first.instance.header, "PositionReferenceIndicator")
    source.ImagePositionPatient = decimals(plane.position or ())
    source.ImageOrientationPatient = decimals(first.orientation or ())
    source.PixelSpacing = decimals(stack.grid.spacing[1:])
    source.SliceThickness = decimals([first.thickness or stack.grid.spacing[0]])[0]
    source.SpacingBetweenSlices = decimals(stack.grid.spacing[:1])[0]
    return source


def _multiframe_source(stack: VolumeStack) -> Dataset:
    """Return the header of a multi-frame volume, its frames in the order of the file."""
    first = stack.planes[0]
    model = _plane_source(first, first, stack)
    source = image_header(first)
    source.FrameOfReferenceUID = model.FrameOfReferenceUID
    source.PositionReferenceIndicator = model.PositionReferenceIndicator
    source.NumberOfFrames = len(stack.planes)
    orientation, measures, shared = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = model.ImageOrientationPatient
    for keyword in ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"):
        setattr(measures, keyword, model[keyword].value)
    shared.PlaneOrientationSequence = [orientation]
    shared.PixelMeasuresSequence = [measures]
    source.SharedFunctionalGroupsSequence = [shared]
    source.PerFrameFunctionalGroupsSequence = [
        _frame_position(plane) for plane in sorted(stack.planes, key=lambda plane: plane.frame)
    ]
    return source


def _frame_position(plane: Slice) -> Dataset:
    position, frame = Dataset(), Dataset()
    position.ImagePositionPatient = decimals(plane.position or ())
    frame.PlanePositionSequence = [position]
    return frame


def decimals(values: Sequence[float]) -> list[str]:
    """Write numbers as decimal strings (VR DS, at most 16 characters), as precisely as fits."""
    return [_decimal(float(value)) for value in values]


def _decimal(value: float) -> str:
    candidates = (f"{value:.{digits}g}" for digits in range(17, 0, -1))
    return next(text for text in candidates if len(text) <= 16)
