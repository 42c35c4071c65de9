"""A simulated archive: it sends studies by C-STORE and keeps what it receives by C-STORE.

It stands for the hospital's PACS in the demonstration, and accepts whatever a PACS would.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import UID
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

LOOPBACK = "127.0.0.1"
SUCCESS = 0x0000
INVALID_INSTANCE = 0x0117
"""PS3.7 9.1.1.1.9: the UID would not be one, so it must not become a file name."""
MAX_CONTEXTS = 128
"""PS3.8 9.3.2: presentation context ids are the odd numbers of one byte."""


class ArchiveError(Exception):
    """The archive could not hand over a study; the message says what the peer answered."""


class Archive:
    """An AE that stores into a folder, one file per SOP Instance UID.

    Parameters
    ----------
    folder
        Where received objects go.
    ae_title
        Its own AE title, when it receives and when it sends.
    """

    def __init__(self, folder: Path, ae_title: str) -> None:
        self.folder = folder
        self.ae_title = ae_title
        self.arrived = threading.Condition()
        self._received: list[Path] = []
        self._server: ThreadedAssociationServer | None = None

    def start(self) -> int:
        """Listen on a free port of this computer and return it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ae = AE(ae_title=self.ae_title)
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax or "", ALL_TRANSFER_SYNTAXES)
        ae.add_supported_context(Verification)
        self._server = ae.start_server(
            (LOOPBACK, 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )
        if self._server is None:
            raise ArchiveError("the archive could not listen on this computer")
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    @property
    def received(self) -> tuple[Path, ...]:
        """Files in the order of their arrival; an instance that came twice is there twice."""
        with self.arrived:
            return tuple(self._received)

    def _store(self, event: evt.Event) -> int:
        """Keep one instance (C-STORE SCP); the bytes are written as they came."""
        uid = UID(str(getattr(event.request, "AffectedSOPInstanceUID", "")))
        if not uid.is_valid:
            return INVALID_INSTANCE
        path = self.folder / f"{uid}.dcm"
        path.write_bytes(event.encoded_dataset())
        with self.arrived:
            self._received.append(path)
            self.arrived.notify_all()
        return SUCCESS

    def echo(self, port: int, ae_title: str) -> bool:
        """Return whether the AE answers a C-ECHO."""
        ae = AE(ae_title=self.ae_title)
        ae.add_requested_context(Verification)
        association = ae.associate(LOOPBACK, port, ae_title=ae_title)
        if not association.is_established:
            return False
        answer = association.send_c_echo()
        association.release()
        return "Status" in answer and answer.Status == SUCCESS

    def send(self, files: Sequence[Path], port: int, ae_title: str) -> None:
        """Send files to an AE over one association, in the transfer syntax they have.

        Raises
        ------
        ArchiveError
            The association was rejected, or an instance was not stored.
        """
        ae = AE(ae_title=self.ae_title)
        for sop_class, syntax in _contexts(files):
            ae.add_requested_context(sop_class, syntax)
        association = ae.associate(LOOPBACK, port, ae_title=ae_title)
        if not association.is_established:
            raise ArchiveError(f"{ae_title} on port {port} rejects the association")
        try:
            for path in files:
                answer = association.send_c_store(path)
                if "Status" not in answer or answer.Status != SUCCESS:
                    status = f"status {answer.Status:#06x}" if "Status" in answer else "no answer"
                    raise ArchiveError(f"{ae_title} did not store {path.name}: {status}")
        finally:
            association.release()


def _contexts(files: Sequence[Path]) -> list[tuple[UID, UID]]:
    """Return the distinct (SOP class, transfer syntax) pairs of files."""
    pairs: dict[tuple[UID, UID], None] = {}
    for path in files:
        header = dcmread(path, stop_before_pixels=True)
        pairs[header.SOPClassUID, header.file_meta.TransferSyntaxUID] = None
    if len(pairs) > MAX_CONTEXTS:
        raise ArchiveError(f"{len(pairs)} kinds of object do not fit into one association")
    return list(pairs)
