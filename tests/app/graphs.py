"""A graph that answers at once, for tests of what is around it: one SEG and one PM per series, no pixels."""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from app.study.steps import Request
from models.errors import Code
from operators.identifiers import own_uid

CLASSES = {
    "seg": UID("1.2.840.10008.5.1.4.1.1.66.4"),
    "pm": UID("1.2.840.10008.5.1.4.1.1.30"),
    "sc": UID("1.2.840.10008.5.1.4.1.1.7"),
}


@dataclass(frozen=True)
class FakeOutcome:
    status: str
    files: tuple[Path, ...] = ()
    code: Code | None = None
    reason: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass
class FakeGraph:
    """Called like the graph; remembers its calls."""

    calls: list[Request] = field(default_factory=list)

    def __call__(self, request: Request) -> FakeOutcome:
        self.calls.append(request)
        images = [pydicom.dcmread(path) for path in sorted(request.input_folder.iterdir())]
        sources = [image for image in images if image.SeriesInstanceUID == request.series]
        files = [result_file(request, kind, sources) for kind in request.task.outputs]
        return FakeOutcome("found", tuple(files), seconds={"saliency": 0.0})


def slow_graph(_request: Request) -> FakeOutcome:
    """Take longer than any test."""
    logging.getLogger("app.tests").info("slow graph")
    time.sleep(3600)
    return FakeOutcome("nothing-found")


def result_file(request: Request, kind: str, sources: list[Dataset]) -> Path:
    result = Dataset()
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    uids = sorted(source.SOPInstanceUID for source in sources)
    content: dict[str, object] = {"kind": kind, "sources": uids, "task": request.task.name}
    content["generation"] = request.generation
    result.SOPClassUID = CLASSES[kind]
    result.SOPInstanceUID = own_uid(content)
    result.SeriesInstanceUID = own_uid({**content, "series": True})
    result.StudyInstanceUID = sources[0].StudyInstanceUID
    result.PatientID = sources[0].PatientID
    result.PatientName = sources[0].PatientName
    result.Modality = {"seg": "SEG", "pm": "PMAP", "sc": "OT"}[kind]
    result.ContentDate = request.quiet_at.strftime("%Y%m%d")
    result.ContentTime = request.quiet_at.strftime("%H%M%S.%f")
    result.SeriesDescription = f"AI {request.task.name} {kind.upper()} - NOT FOR DIAGNOSTIC USE"
    path = request.output_folder / f"{kind}.dcm"
    result.save_as(path, enforce_file_format=True)
    return path
