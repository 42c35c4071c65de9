"""Which device made a result: the same equipment attributes and contributing models on every object."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

from highdicom import ContributingEquipment, sr
from pydicom.sr.codedict import codes

from operators.identifiers import derived_uid, own_uid
from operators.provenance import Provenance
from operators.study import Series

MANUFACTURER = "textseg"


class ResultHeader(TypedDict):
    """What every constructor of highdicom's asks for: the instance, its series and the general equipment."""

    series_instance_uid: str
    series_number: int
    sop_instance_uid: str
    instance_number: int
    series_description: str
    manufacturer: str
    manufacturer_model_name: str
    software_versions: str
    device_serial_number: str


def result_header(
    kind: str, uid: str, series: Series, provenance: Provenance, review: bool = False, content: str = ""
) -> ResultHeader:
    """Return the header of a result of ``kind`` (SEG, PM, SC, SR, KO) that was made of ``series``.

    One object is one series, because OHIF opens only the first instance of a result's series. ``content``
    keeps series numbers apart where a task makes several objects of one kind.
    """
    return ResultHeader(
        series_instance_uid=derived_uid(uid, "series"),
        series_number=provenance.series_number(f"{kind} {content}".strip(), series.series_instance_uid),
        sop_instance_uid=uid,
        instance_number=1,
        series_description=provenance.series_description(kind, review),
        manufacturer=MANUFACTURER,
        manufacturer_model_name=model_name(provenance),
        software_versions=provenance.software_version,
        device_serial_number=provenance.bundle_digest[:64],
    )


def model_name(provenance: Provenance) -> str:
    """Return ManufacturerModelName: the software and the method it ran."""
    return f"{MANUFACTURER} {provenance.task.method}"


def observer(provenance: Provenance) -> sr.ObserverContext:
    """Return the device that observed what a document says: this software with this bundle (TID 1004)."""
    identity = {"device": MANUFACTURER, "software": provenance.software_version}
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=own_uid({**identity, "bundle": provenance.bundle_digest}),
        name=MANUFACTURER,
        manufacturer_name=MANUFACTURER,
        model_name=model_name(provenance),
        serial_number=provenance.bundle_digest[:64],
    )
    return sr.ObserverContext(codes.DCM.Device, device)


def contributing(
    provenance: Provenance, filled: Sequence[str], moment: datetime
) -> list[ContributingEquipment]:
    """Return one (109102, DCM, Processing Equipment) item for the bundle and one per model.

    ``filled`` are keywords that the source lacks; the bundle's item says so.
    """
    note = f"Bundle {provenance.bundle}, digest {provenance.bundle_digest}."
    if filled:
        note += f" Absent or empty in the source and left empty or filled in: {', '.join(filled)}."
    items = [(provenance.bundle, provenance.bundle_version, provenance.bundle_digest, note)]
    items += [
        (model.name, model.version, model.sha256, f"SHA-256 {model.sha256}; {model.licence}; {model.source}")
        for model in provenance.models
    ]
    return [
        ContributingEquipment(
            manufacturer=MANUFACTURER,
            purpose_of_reference=codes.DCM.ProcessingEquipment,
            manufacturer_model_name=name[:64],
            software_versions=version[:64] or "unknown",
            device_serial_number=digest[:64],
            contribution_datetime=moment,
            contribution_description=text[:1024],
        )
        for name, version, digest, text in items
    ]
