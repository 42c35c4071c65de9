"""The listener over real associations: what is kept, what is refused with which status, what survives."""

import logging
import os
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, SecondaryCaptureImageStorage, UltrasoundImageStorage
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from app.config import Config
from app.listener.node import TRANSFER_SYNTAXES, Node
from app.log import log_to_stderr
from app.study.database import Database
from app.study.results import Results
from operators.identifiers import own_uid
from tests.app.peers import association, config_in, send, site_file, ultrasound, wait_for


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_in(tmp_path)


@pytest.fixture
def node(config: Config) -> Iterator[Node]:
    running = Node(config)
    running.start()
    yield running
    running.stop()


def files(config: Config) -> list[Path]:
    """Everything that was kept of images, wherever below or beside the state folder it may lie."""
    return sorted(path for path in config.storage.root.parent.rglob("*.dcm"))


def is_alive(config: Config) -> bool:
    with association(config) as opened:
        return bool(opened.is_established and opened.send_c_echo().Status == 0x0000)


def test_image_lies_in_the_inbox_as_it_was_sent_when_success_is_answered(config: Config, node: Node) -> None:
    image = ultrasound()
    assert send(config, image) == [0x0000]
    kept = config.storage.inbox / image.StudyInstanceUID / f"{image.SOPInstanceUID}.dcm"
    assert files(config) == [kept]
    stored = pydicom.dcmread(kept)
    assert stored == image
    assert stored.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID


def test_echo_is_answered(config: Config, node: Node) -> None:
    assert is_alive(config)


@pytest.mark.parametrize(("calling", "called"), [("STRANGER", None), ("PACS", "SOMEONE")])
def test_unknown_callers_and_wrong_called_titles_are_rejected(
    config: Config, node: Node, calling: str, called: str | None
) -> None:
    with association(config, calling=calling, called=called) as opened:
        assert opened.is_rejected
    assert is_alive(config)


HOSTILE_UIDS = [
    "../../x",
    "/etc/passwd",
    "1.2/../../x",
    "1" * 65,
    "1.2.840\x00.1",
    "1.2.\u00e9",
    "1.2;rm -rf",
    "1..2",
    ".",
    "..",
    "$(touch x)",
]


@pytest.mark.parametrize("level", ["study", "series", "sop_instance"])
def test_hostile_uids_are_answered_with_a_failure_and_write_nothing(
    config: Config, node: Node, level: str
) -> None:
    before = {path for path in config.storage.root.parent.rglob("*") if "sqlite" not in path.name}
    statuses = send(config, *(ultrasound(**{level: uid}) for uid in HOSTILE_UIDS))
    assert statuses == [0xA900] * len(HOSTILE_UIDS)
    wait_for(lambda: not list(config.storage.root.glob("incoming/*")), 5)
    assert {path for path in config.storage.root.parent.rglob("*") if "sqlite" not in path.name} == before
    assert is_alive(config)


def test_missing_study_uid_is_refused(config: Config, node: Node) -> None:
    assert send(config, ultrasound(StudyInstanceUID=None)) == [0xA900]
    assert send(config, ultrasound(StudyInstanceUID="")) == [0xA900]
    assert files(config) == []


def test_command_and_data_set_must_announce_the_same_instance(config: Config, node: Node) -> None:
    image = ultrasound()
    with association(config) as opened:
        assert ask(opened, request_of(encoded(image), affected="1.2.3.4")) == 0xA900
    assert files(config) == []


def encoded(image: pydicom.Dataset) -> bytes:
    stream = BytesIO()
    pydicom.dcmwrite(stream, image, implicit_vr=False, little_endian=True)
    return stream.getvalue()


def request_of(data: bytes, affected: str = "1.2.3") -> C_STORE:
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = UltrasoundImageStorage, affected
    request.DataSet = BytesIO(data)
    return request


def context_id(opened: Association) -> int:
    contexts = {context.abstract_syntax: context.context_id for context in opened.accepted_contexts}
    return int(contexts[UltrasoundImageStorage] or 0)


def ask(opened: Association, request: C_STORE) -> int | None:
    """Send a request that pynetdicom would not make; return the status, None when the node aborts."""
    opened._reactor_checkpoint.clear()
    wait_for(lambda: opened._is_paused, 5)
    opened.dimse.send_msg(request, context_id(opened))
    _, response = opened.dimse.get_msg(block=True)
    opened._reactor_checkpoint.set()
    return None if response is None else int(response.Status)


@pytest.mark.parametrize(
    "data", [b"not a data set at all, only words " * 40, b"\x00" * 2000, os.urandom(3000), b"\x08\x00"]
)
def test_bytes_that_are_no_data_set_are_answered_with_a_failure(
    config: Config, node: Node, data: bytes
) -> None:
    with association(config) as opened:
        assert ask(opened, request_of(data)) in (0xC000, 0xA900)
    assert files(config) == []
    assert is_alive(config)


def test_half_an_image_is_never_visible_when_the_association_breaks(config: Config, node: Node) -> None:
    image = ultrasound(Rows=1024, Columns=1024, PixelData=bytes(1 << 20))  # several fragments
    with association(config) as opened:
        request = request_of(encoded(image), affected=image.SOPInstanceUID)
        original = opened.dul.send_pdu

        def first_fragment_only(primitive: object) -> None:
            original(primitive)  # the command, then one fragment of the data set
            sent.append(primitive)
            if len(sent) == 2:
                opened.abort()
                raise ConnectionAbortedError

        sent: list[object] = []
        opened.dul.send_pdu = first_fragment_only  # type: ignore[method-assign,assignment]
        with pytest.raises(ConnectionAbortedError):
            opened.dimse.send_msg(request, context_id(opened))
        opened.dul.send_pdu = original  # type: ignore[method-assign]
    assert files(config) == []
    assert is_alive(config)
    wait_for(lambda: not list(config.storage.root.glob("incoming/*")), 60)
    assert send(config, image) == [0x0000]


def test_noise_on_the_port_does_not_end_the_listener(config: Config, node: Node) -> None:
    for noise in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(400), struct.pack(">BBI", 1, 0, 0xFFFFFFF0)):
        with socket.create_connection(("127.0.0.1", config.listener.port)) as stranger:
            stranger.sendall(noise)
    assert is_alive(config)


def test_the_same_instance_again_is_a_success_and_changes_nothing(config: Config, node: Node) -> None:
    image = ultrasound()
    assert send(config, image, image) == [0x0000, 0x0000]
    assert send(config, image) == [0x0000]
    assert len(files(config)) == 1


def test_an_instance_with_other_content_is_not_taken_and_that_is_recorded(config: Config, node: Node) -> None:
    image = ultrasound()
    other = ultrasound(
        image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID, InstanceNumber=2
    )
    assert send(config, image, other) == [0x0000, 0xB000]
    assert [pydicom.dcmread(path).InstanceNumber for path in files(config)] == [1]
    notes = Results(Database(config.storage.root)).notes(image.StudyInstanceUID)
    assert len(notes) == 1
    assert "other content" in notes[0]


@pytest.mark.parametrize(
    "elements",
    [
        {"SeriesDescription": "AI breast-mass SEG - NOT FOR DIAGNOSTIC USE"},
        {"Modality": "SEG"},
        {"Modality": "PR"},
        {"series": own_uid({"any": "thing"})},
        {"sop_instance": own_uid({"any": "thing"})},
    ],
)
def test_results_are_accepted_and_kept_away_from_the_inbox(
    config: Config, node: Node, elements: dict[str, str]
) -> None:
    assert send(config, ultrasound(**elements)) == [0x0000]
    assert list(config.storage.inbox.iterdir()) == []
    assert len(files(config)) == 1


def test_secondary_captures_are_never_processed(config: Config, node: Node) -> None:
    image = ultrasound(SOPClassUID=SecondaryCaptureImageStorage, Modality="OT")
    entity = AE(ae_title="PACS")
    entity.add_requested_context(SecondaryCaptureImageStorage, image.file_meta.TransferSyntaxUID)
    opened = entity.associate("127.0.0.1", config.listener.port, ae_title=config.listener.ae_title)
    assert opened.send_c_store(image).Status == 0x0000
    opened.release()
    assert list(config.storage.inbox.iterdir()) == []


def test_compressed_transfer_syntaxes_are_negotiated(config: Config, node: Node) -> None:
    entity = AE(ae_title="PACS")
    for syntax in TRANSFER_SYNTAXES:
        entity.add_requested_context(UltrasoundImageStorage, syntax)
        opened = entity.associate("127.0.0.1", config.listener.port, ae_title=config.listener.ae_title)
        assert [context.transfer_syntax[0] for context in opened.accepted_contexts] == [syntax]
        opened.release()
        entity.requested_contexts = []


def test_unknown_transfer_syntaxes_are_not_accepted(config: Config, node: Node) -> None:
    entity = AE(ae_title="PACS")
    entity.add_requested_context(UltrasoundImageStorage, "1.2.3.4.5.6")
    opened = entity.associate("127.0.0.1", config.listener.port, ae_title=config.listener.ae_title)
    assert opened.accepted_contexts == []
    assert is_alive(config)


def test_deflated_bomb_is_not_inflated(config: Config, node: Node) -> None:
    image = ultrasound()
    head = encoded(image)[: encoded(image).index(b"\xe0\x7f\x10\x00")]
    bomb = head + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 1 << 28) + bytes(1 << 28)
    packed = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = packed.compress(bomb) + packed.flush()
    del bomb
    entity = AE(ae_title="PACS")
    entity.add_requested_context(UltrasoundImageStorage, DeflatedExplicitVRLittleEndian)
    opened = entity.associate("127.0.0.1", config.listener.port, ae_title=config.listener.ae_title)
    assert ask(opened, request_of(data, affected=image.SOPInstanceUID)) == 0x0000
    opened.release()
    assert files(config)[0].stat().st_size < 1 << 20


def test_too_little_space_is_answered_out_of_resources_and_recovers(tmp_path: Path) -> None:
    full = config_in(tmp_path, storage={"reserve": "999999999 GB"})
    image = ultrasound()
    crowded = Node(full)
    crowded.start()
    assert send(full, image) == [0xA700]
    assert files(full) == []
    crowded.stop()
    roomy = config_in(tmp_path)
    node = Node(roomy)
    node.start()
    assert send(roomy, image) == [0x0000]
    node.stop()


LIMITED = """
import resource, signal, sys
from pathlib import Path
from app.config import load_config
from app.serve import listener
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
config = load_config(site=Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
listener(config)
"""


def test_disk_that_fills_while_receiving_is_answered_out_of_resources(tmp_path: Path) -> None:
    path = site_file(tmp_path)
    config = config_in(tmp_path)
    path = tmp_path / "site.yaml"
    process = subprocess.Popen([sys.executable, "-c", LIMITED, str(path)])
    try:
        wait_for(lambda: is_alive(config), 20)
        large = ultrasound(Rows=2048, Columns=1024, PixelData=bytes(2048 * 1024))
        assert send(config, large, ultrasound()) == [0xA700, 0x0000]
        assert len(files(config)) == 1
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_listener_is_ready_in_two_seconds_and_imports_no_models(tmp_path: Path) -> None:
    config_in(tmp_path)
    script = (
        "import sys, threading, time; started = time.monotonic()\n"
        "from pathlib import Path; from app.config import load_config; from app.listener.node import Node\n"
        "node = Node(load_config(site=Path(sys.argv[1]))); node.start()\n"
        "print(time.monotonic() - started, [m for m in ('torch', 'monai', 'holoscan') if m in sys.modules])\n"
        "time.sleep(3); node.stop()\n"
        "print(0, [m for m in ('torch', 'monai', 'holoscan') if m in sys.modules])\n"
    )
    best = 99.0
    for _ in range(3):  # the machine may be busy; the best of three says what the listener needs
        started = time.monotonic()
        command = [sys.executable, "-c", script, str(tmp_path / "site.yaml")]
        printed = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=60
        ).stdout.split("\n")
        assert time.monotonic() - started < 60
        assert [line.split(maxsplit=1)[1] for line in printed[:2]] == ["[]", "[]"]
        best = min(best, float(printed[0].split()[0]))
        if best < 2.0:
            break
    assert best < 2.0


def test_no_patient_identity_in_the_log(
    config: Config, node: Node, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", True)  # log_to_stderr changes it; pytest puts it back
    log_to_stderr()
    send(config, ultrasound(), ultrasound(study="Secret^Patient"), ultrasound(Modality="SEG"))
    with association(config, calling="STRANGER"):
        pass
    printed = capfd.readouterr()
    assert "UID-INVALID" in printed.err
    for secret in ("SECRET", "Secret", "19500101"):
        assert secret not in printed.err + printed.out
    logging.getLogger("app").handlers.clear()
    logging.getLogger("app").propagate = True
