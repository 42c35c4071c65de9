"""DICOM files made for tests: every header element that matters is written here, nothing is borrowed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

ROOT = "1.2.826.0.1.3680043.10.1417"
STUDY = f"{ROOT}.1"
Edit = Callable[[Dataset, int], None]


def unchanged(header: Dataset, index: int) -> None:
    """Leave a header as it is."""


def header(
    modality: str, sop_class: str, series: str, number: int, pixels: npt.NDArray[np.generic]
) -> FileDataset:
    """A complete image header with identity, on a 16-bit or 8-bit RGB matrix."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = f"{series}.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID, image.SOPInstanceUID = sop_class, f"{series}.{number}"
    image.StudyInstanceUID, image.SeriesInstanceUID = STUDY, series
    image.Modality = modality
    image.PatientName, image.PatientID = "Müller^Jörg", "PAT-7"
    image.PatientBirthDate, image.PatientSex = "19700102", "M"
    image.StudyDate, image.StudyTime, image.StudyID = "20260301", "101500", "S1"
    image.AccessionNumber, image.ReferringPhysicianName = "ACC-9", "Doctor^A"
    image.StudyDescription, image.SeriesDescription = "Test", f"{modality} series"
    image.SeriesNumber, image.InstanceNumber = 4, number
    image.Rows, image.Columns = pixels.shape[:2]
    colour = pixels.ndim == 3
    image.SamplesPerPixel = 3 if colour else 1
    image.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        image.PlanarConfiguration = 0
    image.BitsAllocated = image.BitsStored = 8 if pixels.dtype == np.uint8 else 16
    image.HighBit = image.BitsStored - 1
    image.PixelRepresentation = int(pixels.dtype.kind == "i")
    image.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    return image


def save(image: Dataset, path: Path) -> Path:
    """Write a file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)
    return path


def phantom(slices: int = 6, rows: int = 40, columns: int = 48) -> npt.NDArray[np.int16]:
    """(slices, rows, columns) Hounsfield units: air, and a bright block that has no symmetry at all."""
    values = np.full((slices, rows, columns), -900, dtype=np.int16)
    values[1 : slices - 1, 6:20, 8:30] = 60
    values[2 : slices - 1, 20:26, 8:14] = 60
    return values


def volume(
    folder: Path,
    values: npt.NDArray[np.int16] | None = None,
    *,
    modality: str = "CT",
    series: str = f"{ROOT}.2",
    origin: Sequence[float] = (-20.0, 30.0, 100.0),
    row: Sequence[float] = (1.0, 0.0, 0.0),
    column: Sequence[float] = (0.0, 1.0, 0.0),
    spacing: tuple[float, float, float] = (2.5, 0.8, 1.2),
    edit: Edit = unchanged,
) -> list[Path]:
    """Write one file per slice along row x column; ``spacing`` is (slices, rows, columns) in mm.

    A negative distance between slices writes files that descend along the slice normal.
    """
    stored = phantom() if values is None else values
    normal = np.cross(row, column)
    paths = []
    for index, pixels in enumerate(stored):
        sop_class = CTImageStorage if modality == "CT" else MRImageStorage
        image = header(modality, sop_class, series, index + 1, pixels)
        image.FrameOfReferenceUID, image.PositionReferenceIndicator = f"{ROOT}.3", ""
        image.ImagePositionPatient = [float(x) for x in np.round(origin + index * spacing[0] * normal, 6)]
        image.ImageOrientationPatient = [float(x) for x in np.round((*row, *column), 9)]
        image.PixelSpacing = list(spacing[1:])
        image.SliceThickness = abs(spacing[0])
        image.RescaleSlope, image.RescaleIntercept = 1, 0
        edit(image, index)
        paths.append(save(image, folder / f"slice{index:03d}.dcm"))
    return paths


def radiograph(path: Path, series: str = f"{ROOT}.5", number: int = 1, edit: Edit = unchanged) -> Path:
    """A CR without any position, MONOCHROME1, with a dark (stored: bright) border."""
    pixels = np.full((60, 50), 3000, dtype=np.uint16)
    pixels[10:32, 6:20] = 200
    pixels[32:40, 6:12] = 200
    image = header("CR", ComputedRadiographyImageStorage, series, number, pixels)
    image.PhotometricInterpretation = "MONOCHROME1"
    image.BodyPartExamined, image.ImagerPixelSpacing = "CHEST", [0.2, 0.2]
    edit(image, number)
    return save(image, path)


def digital_xray(path: Path, series: str = f"{ROOT}.10", modality: str = "DX") -> Path:
    """A DX or MG for presentation: it has a VOI LUT, a detector, and the side of the body in the image."""

    def edit(image: Dataset, _: int) -> None:
        sop_class = {
            "DX": DigitalXRayImageStorageForPresentation,
            "MG": DigitalMammographyXRayImageStorageForPresentation,
        }[modality]
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = sop_class
        image.Modality, image.PresentationIntentType = modality, "FOR PRESENTATION"
        image.ImageLaterality, image.PatientOrientation = "L", ["A", "FR"]
        image.BitsStored, image.HighBit, image.ImagerPixelSpacing = 12, 11, [0.07, 0.07]
        table = Dataset()
        table.add_new("LUTDescriptor", "US", [4096, 0, 12])
        table.add_new("LUTData", "US", list(range(4096)))
        image.VOILUTSequence = [table]
        image.PixelIntensityRelationship, image.PixelIntensityRelationshipSign = "LOG", -1
        image.PresentationLUTShape = "INVERSE"

    return radiograph(path, series, edit=edit)


def ultrasound(path: Path, series: str = f"{ROOT}.6", frames: int = 1) -> Path:
    """A colour ultrasound without pixel spacing; several frames make a multi-frame object."""
    one = np.full((48, 64, 3), 15, dtype=np.uint8)
    one[8:30, 10:34] = 240
    sop_class = UltrasoundImageStorage if frames == 1 else UltrasoundMultiFrameImageStorage
    image = header("US", sop_class, series, 1, one)
    if frames > 1:
        image.NumberOfFrames = frames
        image.PixelData = b"".join(np.roll(one, 2 * frame, axis=1).tobytes() for frame in range(frames))
    return save(image, path)


def enhanced(
    path: Path,
    values: npt.NDArray[np.int16] | None = None,
    shuffle: bool = True,
    *,
    series: str = f"{ROOT}.7",
    origin: Sequence[float] = (-20.0, 30.0, 100.0),
    spacing: tuple[float, float, float] = (2.5, 0.8, 1.2),
    edit: Edit = unchanged,
) -> Path:
    """An Enhanced CT whose frames are stored out of spatial order, the rescale (2, -10) in the shared groups.

    ``spacing`` is (slices, rows, columns) in mm.
    """
    stored = phantom() if values is None else values
    order = np.roll(np.arange(len(stored)), 2) if shuffle else np.arange(len(stored))
    image = header("CT", EnhancedCTImageStorage, series, 1, stored[0])
    image.NumberOfFrames, image.FrameOfReferenceUID = len(stored), f"{ROOT}.3"
    image.PixelData = stored[order].tobytes()
    measures, orientation, transform, shared = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(spacing[1:]), spacing[0]
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    transform.RescaleSlope, transform.RescaleIntercept, transform.RescaleType = 2, -10, "HU"
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    shared.PixelValueTransformationSequence = [transform]
    image.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index in order:
        position, frame = Dataset(), Dataset()
        position.ImagePositionPatient = [*origin[:2], float(origin[2] + spacing[0] * index)]
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = frames
    edit(image, 0)
    return save(image, path)


def legacy_converted(files: Sequence[Path], path: Path, series: str = f"{ROOT}.9") -> Path:
    """The files of a CT or MR in one Legacy Converted Enhanced object, as highdicom converts them."""
    images = [dcmread(file) for file in files]
    if images[0].Modality == "CT":
        convert = hd.legacy.LegacyConvertedEnhancedCTImage
    else:
        convert = hd.legacy.LegacyConvertedEnhancedMRImage
    return save(convert(images, series, 4, f"{series}.1", 1), path)
