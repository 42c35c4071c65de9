"""A graph that answers at once, for tests of what is around it: one SEG and one PM per series, no pixels."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from models.errors import Code
from operators.identifiers import own_uid
from operators.task import Task

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

    calls: list[tuple[str, str, int, str | None, datetime]] = field(default_factory=list)

    def __call__(
        self,
        input_folder: Path,
        output_folder: Path,
        series: str,
        task: Task,
        quiet_at: datetime,
        generation: int,
        replaces: str | None,
    ) -> FakeOutcome:
        self.calls.append((series, task.name, generation, replaces, quiet_at))
        images = [pydicom.dcmread(path) for path in sorted(input_folder.iterdir())]
        sources = [image for image in images if image.SeriesInstanceUID == series]
        files = [
            result_file(output_folder, kind, sources, task.name, quiet_at, generation)
            for kind in task.outputs
        ]
        return FakeOutcome("found", tuple(files), seconds={"saliency": 0.0})


def result_file(
    folder: Path, kind: str, sources: list[Dataset], task: str, quiet_at: datetime, generation: int
) -> Path:
    result = Dataset()
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    uids = sorted(source.SOPInstanceUID for source in sources)
    content = {"kind": kind, "sources": uids, "task": task, "generation": generation}
    result.SOPClassUID = CLASSES[kind]
    result.SOPInstanceUID = own_uid(content)
    result.SeriesInstanceUID = own_uid({**content, "series": True})
    result.StudyInstanceUID = sources[0].StudyInstanceUID
    result.PatientID = sources[0].PatientID
    result.PatientName = sources[0].PatientName
    result.Modality = {"seg": "SEG", "pm": "PMAP", "sc": "OT"}[kind]
    result.ContentDate = quiet_at.strftime("%Y%m%d")
    result.ContentTime = quiet_at.strftime("%H%M%S.%f")
    result.SeriesDescription = f"AI {task} {kind.upper()} - NOT FOR DIAGNOSTIC USE"
    path = folder / f"{kind}-{len(list(folder.iterdir()))}.dcm"
    result.save_as(path, enforce_file_format=True)
    return path
