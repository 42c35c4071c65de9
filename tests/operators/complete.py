"""Images as complete as scanners send them, to take single elements away from."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage

from tests.operators.synthetic import (
    ROOT,
    digital_xray,
    enhanced,
    phantom,
    radiograph,
    save,
    ultrasound,
    volume,
)

ElementPath = tuple[str | int, ...]
"""Keywords, and item numbers where a sequence is between them."""


def ct(folder: Path) -> None:
    """Three slices of CT."""

    def edit(image: Dataset, index: int) -> None:
        image.ImageType, image.BodyPartExamined = ["ORIGINAL", "PRIMARY", "AXIAL"], "ABDOMEN"
        image.AcquisitionNumber, image.AcquisitionDate, image.AcquisitionTime = 1, "20260301", "101500"
        image.SeriesDate = image.ContentDate = "20260301"
        image.SeriesTime = image.ContentTime = "101500"
        image.Manufacturer, image.InstitutionName, image.KVP = "ACME", "Hospital", 120
        image.ConvolutionKernel, image.PatientPosition, image.GantryDetectorTilt = "B30f", "HFS", 0
        image.SpacingBetweenSlices, image.SliceLocation = 2.5, 100.0 + 2.5 * index
        image.WindowCenter, image.WindowWidth, image.WindowCenterWidthExplanation = 40, 400, "ABDOMEN"
        image.RescaleType, image.PixelPaddingValue = "HU", -2000
        image.IssuerOfPatientID, image.TimezoneOffsetFromUTC = "HOSPITAL", "+0100"
        image.LossyImageCompression, image.BurnedInAnnotation = "00", "NO"

    volume(folder, phantom(4, 24, 26)[:3], edit=edit)


def enhanced_mr(folder: Path) -> None:
    """One Enhanced MR of four frames."""
    path = enhanced(folder / "x.dcm", phantom(4, 24, 26))
    image = pydicom.dcmread(path)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    image.Modality, image.ImageType = "MR", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    image.PositionReferenceIndicator, image.AcquisitionDateTime = "", "20260301101500"
    image.ContentDate, image.ContentTime, image.BodyPartExamined = "20260301", "101500", "BRAIN"
    organization = Dataset()
    organization.DimensionOrganizationUID = f"{ROOT}.8"
    image.DimensionOrganizationSequence = [organization]
    for number, frame in enumerate(image.PerFrameFunctionalGroupsSequence, start=1):
        content = Dataset()
        content.StackID, content.InStackPositionNumber, content.FrameAcquisitionNumber = "1", number, 1
        content.DimensionIndexValues = [number]
        frame.FrameContentSequence = [content]
    save(image, path)


def cr(folder: Path) -> None:
    """One CR with a VOI LUT."""

    def edit(image: Dataset, _: int) -> None:
        table = Dataset()
        table.add_new("LUTDescriptor", "US", [4096, 0, 12])
        table.add_new("LUTData", "US", list(range(4096)))
        table.LUTExplanation = "NORMAL"
        image.VOILUTSequence = [table]
        image.BitsStored, image.HighBit = 12, 11
        image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, 0, "US"
        image.WindowCenter, image.WindowWidth = 2000, 4000
        image.ViewPosition, image.PatientOrientation, image.Laterality = "PA", ["L", "F"], "U"
        image.ImageType, image.PresentationLUTShape = ["ORIGINAL", "PRIMARY"], "INVERSE"
        image.PixelPaddingValue, image.PixelAspectRatio = 4095, [1, 1]
        image.AcquisitionDate, image.AcquisitionTime, image.Manufacturer = "20260301", "101500", "ACME"

    radiograph(folder / "x.dcm", edit=edit)


def mg(folder: Path) -> None:
    """One mammogram with its view."""
    path = digital_xray(folder / "x.dcm", modality="MG")
    image = pydicom.dcmread(path)
    view = Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = "399162004", "SCT", "cranio-caudal"
    image.ViewCodeSequence, image.BodyPartExamined, image.PartialView = [view], "BREAST", "NO"
    image.DetectorActiveShape, image.AcquisitionDate, image.Manufacturer = "RECTANGLE", "20260301", "ACME"
    save(image, path)


def us(folder: Path) -> None:
    """One ultrasound loop in colour with a calibrated region."""
    path = ultrasound(folder / "x.dcm", frames=2)
    image = pydicom.dcmread(path)
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 4, 4
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 59, 43
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.02
    image.SequenceOfUltrasoundRegions = [region]
    image.ImageType, image.FrameTime, image.LossyImageCompression = ["ORIGINAL", "PRIMARY"], 40, "00"
    image.BodyPartExamined, image.PatientOrientation = "BREAST", ["L", "F"]
    image.FrameIncrementPointer = 0x00181063
    save(image, path)


COMPLETE: dict[str, Callable[[Path], None]] = {
    "CT": ct,
    "Enhanced MR": enhanced_mr,
    "CR": cr,
    "MG": mg,
    "US": us,
}


def elements(image: Dataset, above: ElementPath = ()) -> Iterator[ElementPath]:
    """Yield the path of every element, of the first item of sequences too."""
    for element in image:
        here = (*above, element.keyword)
        yield here
        if element.VR == "SQ" and element.value:
            yield from elements(element.value[0], (*here, 0))


def owner(image: Dataset, path: ElementPath) -> Dataset:
    """Return the data set that holds the last element of a path."""
    found: Any = image
    for step in path[:-1]:
        found = found[step] if isinstance(step, int) else found[step].value
    assert isinstance(found, Dataset)
    return found
