"""What the listener must know of a received instance, and nothing more: its UIDs and whether it is ours."""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID
from pynetdicom.dsutils import split_dataset

from models.errors import Code, InputError
from operators import header as tags
from operators.identifiers import is_own_uid, is_valid_uid
from operators.sop_classes import is_excluded
from operators.study import OWN_DESCRIPTION_PREFIX

_LAST_TAG = 0x0020000E
"""SeriesInstanceUID: reading ends here, so nothing large or malicious behind it is ever parsed."""
_INFLATED_MAX = 16 << 20
_UNPARSABLE = (
    EOFError,
    struct.error,
    zlib.error,
    InvalidDicomError,
    RecursionError,
    MemoryError,
    *tags.UNREADABLE,
)


@dataclass(frozen=True)
class Received:
    """An instance as it announces itself. Every UID has been validated and is safe in a path."""

    study: str
    series: str
    sop_instance: str
    exclusion: Code | None
    """Why it is never processed: OWN_RESULT or SOP_CLASS_EXCLUDED; None for images."""


def read_received(path: Path, affected_sop_instance: str, affected_sop_class: str) -> Received:
    """Read the head of a received Part 10 file and compare it with what the C-STORE command announced.

    Raises
    ------
    InputError
        UID_INVALID, TAG_MISSING (a UID is absent, or command and data set disagree) or FILE_NOT_DICOM.
    """
    _require(affected_sop_instance, "AffectedSOPInstanceUID of a C-STORE command")
    _require(affected_sop_class, "AffectedSOPClassUID of a C-STORE command")
    header = _read_head(path)
    found = {}
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
        uid = tags.value(header, keyword)
        if uid is None:
            raise InputError(
                Code.TAG_MISSING, f"{keyword} of a received instance is missing; send it complete"
            )
        found[keyword] = _require(str(uid), f"{keyword} of a received instance")
    for keyword, announced in (
        ("SOPInstanceUID", affected_sop_instance),
        ("SOPClassUID", affected_sop_class),
    ):
        if found[keyword] != announced:
            raise InputError(
                Code.TAG_MISSING,
                f"{keyword} of a received instance is not what its C-STORE command says; correct the sender",
            )
    return Received(
        found["StudyInstanceUID"], found["SeriesInstanceUID"], found["SOPInstanceUID"], _exclusion(header)
    )


def _require(uid: str, what: str) -> str:
    """Return a UID that is one. The message leaves the text out: it is logged, and could hold a name."""
    if not is_valid_uid(uid):
        raise InputError(Code.UID_INVALID, f"{what} is no UID ({len(uid)} characters); correct the sender")
    return uid


def _exclusion(header: Dataset) -> Code | None:
    own = is_own_uid(tags.text(header, "SOPInstanceUID")) or is_own_uid(
        tags.text(header, "SeriesInstanceUID")
    )
    if own or tags.text(header, "SeriesDescription").startswith(OWN_DESCRIPTION_PREFIX):
        return Code.OWN_RESULT
    if is_excluded(tags.text(header, "SOPClassUID"), tags.text(header, "Modality").upper()):
        return Code.SOP_CLASS_EXCLUDED
    return None


def _past_series(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) > _LAST_TAG


def _read_head(path: Path) -> Dataset:
    with warnings.catch_warnings(), path.open("rb") as file:
        warnings.simplefilter("ignore")  # they quote values, and a value may be a patient's name
        try:
            meta, offset = split_dataset(path)
            syntax = UID(meta.TransferSyntaxUID)
            file.seek(offset)
            stream: BinaryIO = file
            if syntax.is_deflated:
                stream = io.BytesIO(
                    zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), _INFLATED_MAX)
                )
            return read_dataset(
                stream, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=_past_series
            )
        except _UNPARSABLE as error:
            raise InputError(
                Code.FILE_NOT_DICOM,
                "a received data set cannot be parsed in the transfer syntax it came in; correct the sender",
            ) from error
