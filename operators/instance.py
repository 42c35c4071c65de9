"""One DICOM file: its header, proved to be complete, without its pixels.

A file is refused here when it is not DICOM, cut short, without pixels, in an unknown transfer syntax, with a
UID that is none, or with a header that promises more pixels than any image has. Nothing is allocated from a
number in the header before that number has been judged.
"""

import struct
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    MPEGTransferSyntaxes,
)

from models.errors import Code, InputError
from operators import header as tags
from operators.identifiers import require_uid, substitute_uid
from operators.sop_classes import expects_pixels

MAX_FRAME_PIXELS = 1 << 26
"""67 million: a mammogram at 50 micrometres has 24 million."""
MAX_FILE_PIXELS = 1 << 29
"""537 million samples: 2000 grey frames of 512 x 512."""
_UNDEFINED = 0xFFFFFFFF
_SERIES_INSTANCE_UID = 0x0020000E


@dataclass(frozen=True, eq=False)
class Instance:
    """A readable composite instance. ``header`` holds every element but the pixels.

    ``filled`` names the UIDs that the file left empty and that :func:`fill_missing_uids` supplied.
    """

    path: Path
    header: Dataset = field(repr=False)
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    sop_class_uid: str
    modality: str
    rows: int
    columns: int
    frames: int
    filled: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """File name, as messages call the instance."""
        return self.path.name


class SeriesFileError(InputError):
    """A file that is known to belong to a series, and cannot be used: the series is incomplete."""

    def __init__(self, code: Code, message: str, series_instance_uid: str = "") -> None:
        super().__init__(code, message)
        self.series_instance_uid = series_instance_uid

    def __reduce__(self) -> tuple[type["SeriesFileError"], tuple[Code, str, str]]:  # type: ignore[override]
        """Pickle with the series."""
        return type(self), (self.code, self.message, self.series_instance_uid)


def read_instance(path: Path) -> Instance:
    """Read one file up to its pixels and prove that the pixels are there.

    Raises
    ------
    InputError
        FILE_NOT_DICOM, or UID_INVALID.
    SeriesFileError
        FILE_TRUNCATED, PIXELS_MISSING, PIXELS_TOO_LARGE, TRANSFER_SYNTAX_UNKNOWN or TAG_MISSING, with the
        series the file belongs to where its header still says so.
    """
    with path.open("rb") as file:
        found = _read_header(path, file)
        _require_transfer_syntax(path, found)
        filled = fill_missing_uids(found)
        uids = [require_uid(tags.text(found, keyword), keyword, path.name) for keyword in _UIDS]
        if expects_pixels(found):
            _require_pixels(path, file, found)
    return Instance(
        path=path,
        header=found,
        sop_instance_uid=uids[0],
        series_instance_uid=uids[1],
        study_instance_uid=uids[2],
        sop_class_uid=uids[3],
        modality=tags.text(found, "Modality").upper(),
        rows=int(tags.number(found, "Rows") or 0),
        columns=int(tags.number(found, "Columns") or 0),
        frames=frame_count(found),
        filled=filled,
    )


_UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "SOPClassUID")


def fill_missing_uids(found: FileDataset) -> tuple[str, ...]:
    """Fill empty UIDs in place and return their keywords.

    De-identified files often come with emptied UIDs. The file meta information repeats those of the
    instance; study and series get UIDs that follow from what else identifies them, so that files of one
    series stay together. A UID that is present but invalid is left alone: it is refused.
    """
    study = ["PatientID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "FrameOfReferenceUID"]
    series = [*study, "StudyInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "Rows", "Columns"]
    substitutes = {
        "SOPClassUID": tags.text(found.file_meta, "MediaStorageSOPClassUID"),
        "SOPInstanceUID": tags.text(found.file_meta, "MediaStorageSOPInstanceUID"),
        "StudyInstanceUID": substitute_uid(tags.text(found, keyword) for keyword in study),
        "SeriesInstanceUID": substitute_uid(tags.text(found, keyword) for keyword in series),
    }
    filled = tuple(keyword for keyword in substitutes if not tags.text(found, keyword))
    for keyword in filled:
        setattr(found, keyword, substitutes[keyword])
    return filled


def frame_count(found: Dataset) -> int:
    """Return NumberOfFrames, 1 when it is absent or nonsense below 1."""
    return max(1, int(tags.number(found, "NumberOfFrames") or 1))


def _read_header(path: Path, file: BinaryIO) -> FileDataset:
    """Parse up to the pixels, leaving ``file`` in front of them."""
    head = file.read(132)
    if len(head) < 132 or head[128:] != b"DICM":
        what = "is empty" if not head else "does not carry the DICOM mark 'DICM' at byte 128"
        raise InputError(Code.FILE_NOT_DICOM, f"{path.name} is not a DICOM file: it {what}.")
    file.seek(0)
    with warnings.catch_warnings():
        # Other warnings quote values, and a value may be a patient's name.
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=r"(Unexpected )?[Ee]nd of file")
        try:
            found = pydicom.dcmread(file, stop_before_pixels=True)
        except (UserWarning, EOFError, struct.error, zlib.error) as error:
            raise _truncated(path, "its header ends in the middle of an element", _series_of(path)) from error
        except (InvalidDicomError, *tags.UNREADABLE) as error:
            raise InputError(
                Code.FILE_NOT_DICOM,
                f"{path.name} begins like a DICOM file but its header cannot be parsed; send it again.",
            ) from error
    last = max(found.keys(), default=None)
    if last is not None and _is_cut(found.get_item(last)):
        series = tags.text(found, "SeriesInstanceUID") if last != _SERIES_INSTANCE_UID else ""
        raise _truncated(path, "its header ends in the middle of an element", series)
    return found


def _is_cut(element: object) -> bool:
    """Tell whether the file ended before the value of its last element did."""
    if not isinstance(element, RawDataElement) or element.value is None:
        return False
    return len(element.value) < element.length < _UNDEFINED


def _series_of(path: Path) -> str:
    """Return the Series Instance UID that a cut-off header still holds, or an empty string."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = pydicom.dcmread(path, specific_tags=["SeriesInstanceUID"], stop_before_pixels=True)
        except (EOFError, struct.error, zlib.error, InvalidDicomError, *tags.UNREADABLE):
            return ""
    return tags.text(found, "SeriesInstanceUID")


def _require_transfer_syntax(path: Path, found: FileDataset) -> None:
    syntax = UID(tags.text(found.file_meta, "TransferSyntaxUID"))
    known = syntax in _READABLE
    if not known:
        raise SeriesFileError(
            Code.TRANSFER_SYNTAX_UNKNOWN,
            f"TransferSyntaxUID of {path.name} is {str(syntax)[:80]!a}, which cannot be decoded here; send "
            "the image uncompressed or as JPEG, JPEG-LS, JPEG 2000, HTJ2K or RLE.",
            tags.text(found, "SeriesInstanceUID"),
        )


_READABLE = frozenset(
    syntax
    for syntax in pydicom.uid.AllTransferSyntaxes
    if syntax not in MPEGTransferSyntaxes and syntax.name.find("JPIP") < 0 and syntax.name.find("SMPTE") < 0
)


def _require_pixels(path: Path, file: BinaryIO, found: FileDataset) -> None:
    series = tags.text(found, "SeriesInstanceUID")
    syntax = UID(found.file_meta.TransferSyntaxUID)
    if syntax == DeflatedExplicitVRLittleEndian:
        _require_deflated_pixels(path, _expected_bytes(path, found, series), series)
        return
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    element = file.read(12)
    if len(element) < 12 or struct.unpack(order + "HH", element[:4]) != (0x7FE0, 0x0010):
        raise SeriesFileError(
            Code.PIXELS_MISSING,
            f"{path.name} has no Pixel Data (7FE0,0010); send the complete image.",
            series,
        )
    if syntax == ImplicitVRLittleEndian:
        length = struct.unpack("<I", element[4:8])[0]
        file.seek(-4, 1)
    else:
        length = struct.unpack(order + "I", element[8:12])[0]
    expected = _expected_bytes(path, found, series)
    if length == _UNDEFINED:
        _require_fragments(path, file, series)
    else:
        _require_native(path, file, length, expected, series)


def _expected_bytes(path: Path, found: Dataset, series: str) -> int:
    """Return the number of bytes of the uncompressed pixels, after judging what the header promises."""
    counts = {}
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "SamplesPerPixel"):
        read = tags.number(found, keyword)
        if read is None or read < 1:
            raise _missing(path, keyword, "a number above zero", series)
        counts[keyword] = int(read)
    samples = counts["SamplesPerPixel"]
    if tags.text(found, "PhotometricInterpretation") == "":
        raise _missing(path, "PhotometricInterpretation", "a term of the standard", series)
    for keyword in ("PixelRepresentation", *(["PlanarConfiguration"] if samples > 1 else [])):
        if tags.number(found, keyword) not in {0, 1}:
            raise _missing(path, keyword, "0 or 1", series)
    frame, frames = counts["Rows"] * counts["Columns"], frame_count(found)
    if frame > MAX_FRAME_PIXELS or frame * frames * samples > MAX_FILE_PIXELS:
        raise SeriesFileError(
            Code.PIXELS_TOO_LARGE,
            f"{path.name} promises {counts['Rows']} rows x {counts['Columns']} columns x {frames} frames; "
            f"at most {MAX_FRAME_PIXELS} pixels a frame and {MAX_FILE_PIXELS} in a file are read.",
            series,
        )
    if tags.text(found, "PhotometricInterpretation") == "YBR_FULL_422":
        samples = 2
    return (frame * frames * samples * counts["BitsAllocated"] + 7) // 8


def _require_native(path: Path, file: BinaryIO, length: int, expected: int, series: str) -> None:
    start = file.tell()
    present = file.seek(0, 2) - start
    if min(length, present) < expected:
        raise _truncated(
            path,
            f"its Pixel Data holds {min(length, present)} of the {expected} bytes the header promises",
            series,
        )
    if present < length:
        raise _truncated(path, f"its Pixel Data holds {present} of {length} bytes", series)


def _require_fragments(path: Path, file: BinaryIO, series: str) -> None:
    """Walk the items of encapsulated Pixel Data (PS3.5 A.4) to the sequence delimiter."""
    start = file.tell()
    size = file.seek(0, 2)
    file.seek(start)
    fragments = 0
    while True:
        item = file.read(8)
        if len(item) < 8:
            raise _truncated(path, "its compressed Pixel Data has no end mark", series)
        group, element, length = struct.unpack("<HHI", item)
        if (group, element) == (0xFFFE, 0xE0DD):
            break
        if (group, element) != (0xFFFE, 0xE000) or file.tell() + length > size:
            raise _truncated(path, "a fragment of its compressed Pixel Data is incomplete", series)
        fragments += 1
        file.seek(length, 1)
    if fragments < 2:
        raise SeriesFileError(
            Code.PIXELS_MISSING, f"Pixel Data of {path.name} holds no compressed frame.", series
        )


def _require_deflated_pixels(path: Path, expected: int, series: str) -> None:
    pixels = tags.value(pydicom.dcmread(path), "PixelData")
    if not isinstance(pixels, bytes):
        raise SeriesFileError(Code.PIXELS_MISSING, f"{path.name} has no Pixel Data (7FE0,0010).", series)
    if len(pixels) < expected:
        raise _truncated(path, f"its Pixel Data holds {len(pixels)} of {expected} bytes", series)


def _missing(path: Path, keyword: str, wanted: str, series: str) -> SeriesFileError:
    reason = f"{keyword} of {path.name} is missing or not {wanted}; without it no pixel can be read."
    return SeriesFileError(Code.TAG_MISSING, f"{reason} Send the complete header.", series)


def _truncated(path: Path, how: str, series: str) -> SeriesFileError:
    return SeriesFileError(Code.FILE_TRUNCATED, f"{path.name} is cut short: {how}; send it again.", series)
