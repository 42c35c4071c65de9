"""The studies of the demonstration: real images out of pip packages, as an archive would hold them today.

Two are DICOM files as they come (pydicom-data) with new UIDs and today's date, because the service leaves old
studies alone. One is the MNI152 template (nilearn, NIfTI), converted to an MR series that says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from nibabel.nifti1 import Nifti1Image
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

CHEST = "RG1_J2KR.dcm"
"""Chest radiograph, CR, MONOCHROME1, JPEG 2000 lossless (NEMA's compression samples)."""
ABDOMEN = "explicit_VR-UN.dcm"
"""One axial CT slice with liver and both kidneys, JPEG 2000 lossless (NIH Pancreas-CT)."""
HEAD = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
"""ICBM 152 2009a nonlinear symmetric T1 template, brain only, 1 mm, uint8, as nilearn ships it."""

HEAD_MATRIX = np.s_[:196, :232]
"""All but an empty row and column of 197 x 233: OHIF shows a Parametric Map only of multiples of four pixels."""
SLICE_DISTANCE_MM = 12
MISSING = "the demo's images come with the packages pydicom-data and nilearn: run `make setup`"


@dataclass(frozen=True)
class DemoStudy:
    """One study on disk: what a person calls it, its UID, its files, and where they come from."""

    title: str
    source: str
    study_instance_uid: str
    files: tuple[Path, ...]


def write_studies(folder: Path, moment: datetime) -> tuple[DemoStudy, ...]:
    """Write the three studies below ``folder``, dated ``moment``.

    Raises
    ------
    FileNotFoundError
        A package that carries an image is not installed.
    """
    chest = [_renewed(dcmread(packaged("data_store", "data", CHEST)), moment)]
    abdomen = [_renewed(dcmread(packaged("data_store", "data", ABDOMEN)), moment)]
    template = Nifti1Image.from_filename(packaged("nilearn", "datasets", "data", HEAD))
    values = np.asarray(template.dataobj, dtype=np.uint8)[HEAD_MATRIX]
    head = list(convert(values, template.affine, moment))
    return (
        _write(folder / "chest", "Chest radiograph", f"pydicom-data, {CHEST}", chest),
        _write(folder / "abdomen", "Abdominal CT slice", f"pydicom-data, {ABDOMEN}", abdomen),
        _write(folder / "head", "Head MR volume", f"nilearn, {HEAD}, converted", head),
    )


def packaged(package: str, *parts: str) -> Path:
    """Return a file inside an installed package, without importing the package."""
    spec = find_spec(package)
    path = Path(*(spec.submodule_search_locations or [""]) if spec else "", *parts)
    if not path.is_file():
        raise FileNotFoundError(f"{parts[-1]} is not installed; {MISSING}")
    return path


def convert(
    values: npt.NDArray[np.uint8], affine: npt.NDArray[np.float64], moment: datetime
) -> Iterator[Dataset]:
    """Convert a template to an axial MR series, one slice every ``SLICE_DISTANCE_MM``.

    Parameters
    ----------
    values
        (I, J, K) of a NIfTI image whose axes point right, anterior and superior.
    affine
        (4, 4) voxel to RAS millimetres; diagonal and positive, as the MNI template's is.
    moment
        Date and time of the study.

    Yields
    ------
    Dataset
        MR Image Storage. Rows run to the patient's left, columns to the back (LPS), slices upwards. Slices
        without any tissue are left out.
    """
    spacing = np.diag(affine)[:3]
    if not np.array_equal(affine[:3, :3], np.diag(spacing)) or (spacing <= 0).any():
        raise ValueError("the template's axes must point right, anterior and superior")
    step = round(SLICE_DISTANCE_MM / spacing[2])
    tissue = np.flatnonzero((values > 0).any(axis=(0, 1)))
    levels = range(int(tissue[0]), int(tissue[-1]) + 1, step)
    left_back = affine[:2, 3] + spacing[:2] * (np.array(values.shape[:2]) - 1)  # RAS of the first pixel
    common = _head_header(values.shape, spacing, moment)
    for number, level in enumerate(levels, start=1):
        image = Dataset()
        image.update(common)
        image.SOPInstanceUID = generate_uid(prefix=None)
        image.InstanceNumber = number
        image.ImagePositionPatient = [-left_back[0], -left_back[1], affine[2, 3] + spacing[2] * level]
        image.PixelData = values[::-1, ::-1, level].T.astype("<u2").tobytes()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        yield image


def _head_header(shape: tuple[int, ...], spacing: npt.NDArray[np.float64], moment: datetime) -> Dataset:
    """Everything that the slices of the converted template share."""
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 100"
    header.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    header.SOPClassUID = MRImageStorage
    header.Modality = "MR"
    header.Manufacturer = "textseg demo"
    header.StudyDescription = "DEMO - not a patient"
    header.SeriesDescription = "MNI152 T1 template, converted from NIfTI"
    header.PatientName = "DEMO^MNI152"
    header.PatientID = "DEMO-MNI152"
    header.PatientBirthDate = ""
    header.PatientSex = "O"
    header.BodyPartExamined = "HEAD"
    header.ScanningSequence = "RM"
    header.SequenceVariant = "NONE"
    header.ScanOptions = ""
    header.MRAcquisitionType = "3D"
    header.RepetitionTime = None
    header.EchoTime = None
    header.EchoTrainLength = None
    header.SliceThickness = spacing[2]
    header.SpacingBetweenSlices = SLICE_DISTANCE_MM
    header.StudyInstanceUID = generate_uid(prefix=None)
    header.SeriesInstanceUID = generate_uid(prefix=None)
    header.FrameOfReferenceUID = generate_uid(prefix=None)
    header.PositionReferenceIndicator = ""
    header.PatientPosition = "HFS"
    header.StudyID = "DEMO"
    header.AccessionNumber = ""
    header.ReferringPhysicianName = ""
    header.SeriesNumber = 1
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.PixelSpacing = [spacing[1], spacing[0]]
    header.Rows, header.Columns = shape[1], shape[0]
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelRepresentation = 0
    _date(header, moment)
    return header


def _renewed(image: Dataset, moment: datetime) -> Dataset:
    """Give a packaged image new UIDs and the date ``moment``, and make it one that archives and viewers take.

    The abdomen's elements have no VR of their own (UN), and Orthanc files it under no patient; the chest
    radiograph has a PixelSpacing of zero, and OHIF shows nothing of it. Pixels and everything else stay.
    """
    image.decode()  # gives every element of the dictionary its VR
    image.StudyInstanceUID = generate_uid(prefix=None)
    image.SeriesInstanceUID = generate_uid(prefix=None)
    image.SOPInstanceUID = generate_uid(prefix=None)
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    if "FrameOfReferenceUID" in image:
        image.FrameOfReferenceUID = generate_uid(prefix=None)
    if not all(image.get("PixelSpacing", [])):
        del image.PixelSpacing
    _date(image, moment)
    return image


def _date(image: Dataset, moment: datetime) -> None:
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(image, keyword, moment.strftime("%Y%m%d"))
    for keyword in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(image, keyword, moment.strftime("%H%M%S"))


def _write(folder: Path, title: str, source: str, images: list[Dataset]) -> DemoStudy:
    folder.mkdir(parents=True)
    files = tuple(folder / f"{number:03}.dcm" for number in range(1, len(images) + 1))
    for path, image in zip(files, images, strict=True):
        image.save_as(path, enforce_file_format=True)
    return DemoStudy(title, source, str(images[0].StudyInstanceUID), files)
