"""What every result shares with its source and with every other result: identity, dates, equipment, coding.

Identity is copied verbatim from the very series used, valid or not: an archive files by it.
"""

import copy
import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from highdicom.sr import CodedConcept as Concept
from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset
from pydicom.uid import UID

from operators import header as tags
from operators.equipment import contributing
from operators.identifiers import own_uid
from operators.provenance import Provenance
from operators.references import filled_in
from operators.stack import ImageStack
from operators.task import PRIVATE_SCHEME, CodedConcept

IMPLEMENTATION_CLASS_UID = UID(own_uid({"implementation": "textseg"}))
IMPLEMENTATION_VERSION_NAME = "TEXTSEG"

COPIED = (
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDsSequence",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName",
)
"""Elements of the patient and study levels, and those that tell how to read them, that results repeat."""

_ABSENT_WHEN_EMPTY = frozenset({"SpecificCharacterSet", "TimezoneOffsetFromUTC"})


def copy_identity(result: Dataset, source: Dataset) -> None:
    """Replace patient, study, accession and character set of ``result`` by those of ``source``, verbatim.

    Elements that a result must have (type 2) and the source lacks stay empty.
    """
    for keyword in COPIED:
        if keyword in source and (keyword not in _ABSENT_WHEN_EMPTY or tags.text(source, keyword)):
            result[keyword] = copy.deepcopy(source[keyword])
        elif keyword in _ABSENT_WHEN_EMPTY and keyword in result:
            del result[keyword]


def local_time(moment: datetime, source: Dataset) -> datetime:
    """Return ``moment`` without zone, in the source's TimezoneOffsetFromUTC or else this machine's zone."""
    text = tags.text(source, "TimezoneOffsetFromUTC")
    if moment.tzinfo is None:
        return moment
    if re.fullmatch(r"[+-](0\d|1[0-4])[0-5]\d", text) is None:
        return moment.astimezone().replace(tzinfo=None)
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[3:]))
    zone = timezone(-offset if text[0] == "-" else offset)
    return moment.astimezone(zone).replace(tzinfo=None)


def stamp(result: Dataset, stack: ImageStack, provenance: Provenance, concepts: Iterable[Dataset]) -> None:
    """Give a freshly built result identity, dates, equipment and coding schemes; nothing from the clock."""
    source = stack.planes[0].instance.header
    copy_identity(result, source)
    moment = local_time(provenance.quiet_at, source)
    date, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    for keyword in ("InstanceCreationDate", "ContentDate", "SeriesDate"):
        setattr(result, keyword, date)
    for keyword in ("InstanceCreationTime", "ContentTime", "SeriesTime"):
        setattr(result, keyword, time)
    result.ContentQualification = "RESEARCH"
    result.ContributingEquipmentSequence = contributing(provenance, filled_in(stack), moment)
    if any(concept.CodingSchemeDesignator == PRIVATE_SCHEME for concept in concepts):
        result.CodingSchemeIdentificationSequence = [private_scheme()]
    result.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    result.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME


def private_scheme() -> Dataset:
    """Return the declaration of our private coding scheme (PS3.3 C.12.1.1.1)."""
    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE_SCHEME
    item.CodingSchemeName = "textseg private codes"
    item.CodingSchemeResponsibleOrganization = "textseg"
    return item


def concept_of(concept: CodedConcept, source: Dataset) -> Concept:
    """Return a configured concept as a code sequence item, its meaning in the source's character set."""
    return Concept(concept.value, concept.scheme, encodable(concept.meaning, source)[:64])


def encodable(text: str, source: Dataset) -> str:
    """Return ``text`` so that the source's character set can hold it: other characters become ``&#...;``."""
    declared = tags.text(source, "SpecificCharacterSet")
    try:
        encodings = convert_encodings(declared.split("\\") if declared else None)
    except (LookupError, ValueError):
        encodings = ["ascii"]
    for encoding in encodings:
        try:
            text.encode(encoding)
        except (UnicodeEncodeError, LookupError):
            continue
        return text
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")
