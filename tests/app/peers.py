"""Peers and studies for the service's tests: DICOM nodes on loopback and small valid images."""

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import yaml
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    UltrasoundImageStorage,
    generate_uid,
)
from pynetdicom import AE, DEFAULT_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.association import Association

from app.config import Config, load_config

CALLING = "PACS"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def site_file(folder: Path, **sections: Mapping[str, Any]) -> Path:
    """Write a site file for a test: everything under ``folder``, fast timings, free ports."""
    content: dict[str, Any] = {
        "listener": {"port": free_port(), "calling_aes": [CALLING]},
        "storage": {"root": str(folder / "state"), "reserve": "1 MB"},
        "study": {"quiet": "0.5 s", "at_most": "5 s"},
        "delivery": {"attempts": 3, "first_wait": "0.2 s", "longest_wait": "1 s", "timeout": "5 s"},
    }
    for name, section in sections.items():
        content[name] = {**content.get(name, {}), **section} if isinstance(section, dict) else section
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def config_in(folder: Path, **sections: Any) -> Config:
    return load_config(site=site_file(folder, **sections))


def ultrasound(
    study: str | None = None, series: str | None = None, sop_instance: str | None = None, **elements: Any
) -> Dataset:
    """Return a small grey ultrasound image of today, with any element overridden."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID = UltrasoundImageStorage
    image.SOPInstanceUID = sop_instance or generate_uid()
    image.StudyDate = datetime.now().astimezone().strftime("%Y%m%d")
    image.StudyTime = "101500"
    image.AccessionNumber = "A1"
    image.Modality = "US"
    image.PatientName = "Test^Secret"
    image.PatientID = "SECRET-4711"
    image.PatientBirthDate = "19500101"
    image.PatientSex = "O"
    image.StudyInstanceUID = study or generate_uid()
    image.SeriesInstanceUID = series or generate_uid()
    image.StudyID = "1"
    image.SeriesNumber = 1
    image.InstanceNumber = 1
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows = image.Columns = 64
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit = 7
    image.PixelRepresentation = 0
    y, x = np.mgrid[:64, :64]
    image.PixelData = (60 + 120 * (np.hypot(y - 28, x - 36) < 12)).astype(np.uint8).tobytes()
    for keyword, value in elements.items():
        if value is None:
            delattr(image, keyword)
        else:
            setattr(image, keyword, value)
    return image


@contextlib.contextmanager
def association(config: Config, calling: str = CALLING, called: str | None = None) -> Iterator[Association]:
    """Open an association with the listener for the images of this module."""
    entity = AE(ae_title=calling)
    for sop_class in (UltrasoundImageStorage, MRImageStorage, CTImageStorage):
        entity.add_requested_context(sop_class, ExplicitVRLittleEndian)
    entity.add_requested_context("1.2.840.10008.1.1")
    listener = config.listener
    opened = entity.associate("127.0.0.1", listener.port, ae_title=called or listener.ae_title)
    try:
        yield opened
    finally:
        if opened.is_established:
            opened.release()


def send(config: Config, *images: Dataset) -> list[int]:
    """Send images in one association and return the statuses."""
    with association(config) as opened:
        assert opened.is_established
        return [int(opened.send_c_store(image).Status) for image in images]


def wait_for(condition: Callable[[], object], seconds: float = 20.0, what: str = "") -> None:
    """Wait until a condition holds; fail after ``seconds``."""
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, f"waited {seconds} s in vain for {what or condition}"
        sleep(0.05)


@dataclass
class Archive:
    """A DICOM node that keeps what it receives, and answers and breaks off as it is told to."""

    port: int
    received: list[Dataset] = field(default_factory=list)
    answer: Callable[[Dataset, int], int] = lambda _image, _count: 0x0000
    breaks_after: int | None = None

    def instances(self) -> dict[str, Dataset]:
        return {str(image.SOPInstanceUID): image for image in self.received}


@contextlib.contextmanager
def archive(
    port: int | None = None,
    classes: Sequence[str] | None = None,
    syntaxes: Sequence[str] | None = None,
    calling: Sequence[str] = (),
) -> Iterator[Archive]:
    """Run an archive on loopback that accepts every storage class and uncompressed syntax, or less."""
    node = Archive(port or free_port())

    def store(event: evt.Event) -> int:
        if node.breaks_after is not None and len(node.received) >= node.breaks_after:
            event.assoc.abort()
            return 0xC000
        image = event.dataset
        image.file_meta = event.file_meta
        status = node.answer(image, len(node.received))
        if status == 0x0000:
            node.received.append(image)
        return status

    entity = AE(ae_title="PACS")
    entity.require_calling_aet = list(calling)
    for sop_class in classes or [str(context.abstract_syntax) for context in AllStoragePresentationContexts]:
        entity.add_supported_context(sop_class, list(syntaxes or DEFAULT_TRANSFER_SYNTAXES))
    handlers = [(evt.EVT_C_STORE, store)]
    server = entity.start_server(("127.0.0.1", node.port), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield node
    finally:
        server.shutdown()
