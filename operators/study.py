"""Studies and series as they lie in a folder: every file accounted for, every fault attributed.

A file that cannot be used is never dropped in silence. When it says which series it belongs to, that series
is incomplete and refused as a whole; otherwise the file is listed with its code.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from models.errors import Code, InputError
from operators import header as tags
from operators.identifiers import is_own_uid
from operators.instance import Instance, SeriesFileError, read_instance
from operators.sop_classes import MEDIA_STORAGE_DIRECTORY, expects_pixels, is_excluded

OWN_DESCRIPTION_PREFIX = "AI "
"""Series whose SeriesDescription begins so are results, ours or another system's, and never processed."""


@dataclass(frozen=True)
class FileNote:
    """A file that was not used: its path, the code and the sentence that say why."""

    path: Path
    code: Code
    reason: str


@dataclass(frozen=True)
class Fault:
    """Why a series cannot or must not be processed."""

    code: Code
    reason: str


PHASE_MARK = "#"
"""Stands between Series Instance UID and phase in :attr:`Series.key`; no UID holds it."""


@dataclass(frozen=True)
class SeriesPhase:
    """One of several volumes that share a series: by what it was told apart, and its planes.

    ``planes`` are references (SOP Instance UID, with the frame of a multi-frame instance).
    """

    label: str
    planes: frozenset[str] = field(repr=False)


@dataclass(frozen=True)
class Series:
    """The image instances of one series, in order of file path.

    ``excluded`` says why the series is none of our business (a result, a report); ``fault`` why it would be
    but is refused (a damaged file, mixed patients). ``phase`` is set where this is one of several volumes
    of the series; ``instances`` are then those that it needs.
    """

    study_instance_uid: str
    series_instance_uid: str
    instances: tuple[Instance, ...] = field(repr=False)
    excluded: Fault | None = None
    fault: Fault | None = None
    phase: SeriesPhase | None = None

    def text(self, keyword: str) -> str:
        """Return an element of the first instance as text, the empty string when there is none."""
        return tags.text(self.instances[0].header, keyword) if self.instances else ""

    @property
    def modality(self) -> str:
        """Modality, in capitals."""
        return self.text("Modality").upper()

    @property
    def images(self) -> int:
        """Number of images: single-frame instances and frames of multi-frame instances."""
        if self.phase is not None:
            return len(self.phase.planes)
        return sum(instance.frames for instance in self.instances)

    @property
    def key(self) -> str:
        """Series Instance UID, and the phase where this is one of several; names one run of the graph."""
        if self.phase is None:
            return self.series_instance_uid
        return f"{self.series_instance_uid}{PHASE_MARK}{self.phase.label}"


@dataclass(frozen=True)
class Folder:
    """What a folder holds: its series, and the files that belong to none of them.

    ``damaged`` are DICOM files that do not even say which series they are of; ``ignored`` are files that
    are not DICOM, DICOMDIRs and repeated instances.
    """

    series: tuple[Series, ...]
    damaged: tuple[FileNote, ...]
    ignored: tuple[FileNote, ...]

    def find(self, series_instance_uid: str) -> Series:
        """Return one series.

        Raises
        ------
        InputError
            NO_SERIES_SELECTED when the folder does not hold it.
        """
        for series in self.series:
            if series.series_instance_uid == series_instance_uid:
                return series
        raise InputError(Code.NO_SERIES_SELECTED, f"The input holds no series {series_instance_uid[:64]!a}.")


def read_folder(path: Path) -> Folder:
    """Read every file under a folder (or the one file ``path``) and sort the instances into series.

    Raises
    ------
    InputError
        INPUT_EMPTY when there is no file at all.
    """
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    if not files:
        raise InputError(Code.INPUT_EMPTY, f"{path.name} holds no file; give a folder of DICOM images.")
    instances: list[Instance] = []
    faults: dict[str, list[FileNote]] = defaultdict(list)
    damaged: list[FileNote] = []
    ignored: list[FileNote] = []
    for file in files:
        try:
            instances.append(read_instance(file))
        except SeriesFileError as error:
            note = FileNote(file, error.code, error.message)
            faults[error.series_instance_uid].append(note) if error.series_instance_uid else damaged.append(
                note
            )
        except InputError as error:
            note = FileNote(file, error.code, error.message)
            (ignored if error.code == Code.FILE_NOT_DICOM else damaged).append(note)
    instances, directories = _without_directories(instances)
    instances, repeated = _without_repeats(instances, faults)
    return Folder(_sort(instances, faults), tuple(damaged), tuple(ignored + directories + repeated))


def _without_directories(instances: Iterable[Instance]) -> tuple[list[Instance], list[FileNote]]:
    kept, notes = [], []
    for instance in instances:
        if instance.sop_class_uid == MEDIA_STORAGE_DIRECTORY:
            reason = f"{instance.name} is a DICOMDIR; the files beside it are read directly."
            notes.append(FileNote(instance.path, Code.SOP_CLASS_EXCLUDED, reason))
        else:
            kept.append(instance)
    return kept, notes


def _without_repeats(
    instances: Iterable[Instance], faults: Mapping[str, list[FileNote]]
) -> tuple[list[Instance], list[FileNote]]:
    """Keep the first of identical repeats; two different instances with one UID are a fault of the series."""
    first: dict[str, Instance] = {}
    repeats: list[FileNote] = []
    for instance in instances:
        known = first.setdefault(instance.sop_instance_uid, instance)
        if known is instance:
            continue
        if known.header == instance.header:
            reason = f"{instance.name} repeats the instance of {known.name}; it is read once."
            repeats.append(FileNote(instance.path, Code.FILE_REPEATED, reason))
        else:
            reason = (
                f"{known.name} and {instance.name} are different images with one SOP Instance UID "
                f"{instance.sop_instance_uid}; correct this at the source."
            )
            faults[instance.series_instance_uid].append(FileNote(instance.path, Code.UID_INVALID, reason))
    return list(first.values()), repeats


def _sort(instances: Sequence[Instance], faults: Mapping[str, list[FileNote]]) -> tuple[Series, ...]:
    by_series: dict[str, list[Instance]] = defaultdict(list)
    by_study: dict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        by_series[instance.series_instance_uid].append(instance)
        by_study[instance.study_instance_uid].append(instance)
    mixed = {study: mixed_identity(members) for study, members in by_study.items()}
    result = []
    for uid in sorted(set(by_series) | set(faults)):
        members = by_series.get(uid, [])
        study = members[0].study_instance_uid if members else ""
        fault = _series_fault(members, faults.get(uid, []), mixed.get(study))
        result.append(Series(study, uid, tuple(members), _exclusion(members), fault))
    return tuple(result)


def _series_fault(
    members: Sequence[Instance], notes: Sequence[FileNote], mixed: Fault | None
) -> Fault | None:
    if mixed is not None:
        return mixed
    if notes:
        more = f" And {len(notes) - 3} more files." if len(notes) > 3 else ""
        return Fault(notes[0].code, " ".join(note.reason for note in notes[:3]) + more)
    studies = {member.study_instance_uid for member in members}
    if len(studies) > 1:
        names = ", ".join(sorted(studies)[:3])
        return Fault(Code.UID_INVALID, f"One Series Instance UID is used in {len(studies)} studies: {names}.")
    return None


IDENTITY = ("PatientID", "IssuerOfPatientID", "PatientBirthDate", "StudyDate")
"""Elements in which all instances of a study must agree; none of their values ever enters a message."""


def mixed_identity(instances: Sequence[Instance]) -> Fault | None:
    """Return PATIENT_MIXED when the instances of one study disagree about whose or when it is.

    An element that is absent or empty in some instances agrees with any value, but for PatientID: an image
    without a patient must not be merged with one that has a patient.
    """
    for keyword in IDENTITY:
        first: dict[str, Instance] = {}
        for instance in instances:
            found = tags.text(instance.header, keyword)
            if found or keyword == "PatientID":
                first.setdefault(found, instance)
        if len(first) > 1:
            one, other = list(first.values())[:2]
            return Fault(
                Code.PATIENT_MIXED,
                f"{keyword} differs within study {one.study_instance_uid}, for example between {one.name} "
                f"and {other.name}; nothing of this study is processed until it is corrected at the source.",
            )
    return None


def _exclusion(members: Sequence[Instance]) -> Fault | None:
    """Say why a series is a result, a report or otherwise no image series; None when it is one."""
    for member in members:
        if is_own_uid(member.sop_instance_uid) or is_own_uid(member.series_instance_uid):
            return Fault(
                Code.OWN_RESULT, f"{member.name} is a result of textseg; results are never processed."
            )
        if tags.text(member.header, "SeriesDescription").startswith(OWN_DESCRIPTION_PREFIX):
            return Fault(Code.OWN_RESULT, "SeriesDescription begins with 'AI ': a result, never processed.")
        if is_excluded(member.sop_class_uid, member.modality) or not expects_pixels(member.header):
            kind = member.modality or member.sop_class_uid
            return Fault(Code.SOP_CLASS_EXCLUDED, f"{kind} objects are not images to segment.")
    return None
