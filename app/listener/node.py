"""The AE: who may connect, what is accepted, and what every C-STORE is answered."""

import logging

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from app.config import Config
from app.delivery.sender import send_at_once
from app.listener.arming import Arming
from app.listener.instance import Received, read_received
from app.listener.receiving import claim, receive_into
from app.listener.statuses import KEPT_THE_FIRST, STATUS, SUCCESS
from app.log import short
from app.study.database import Database
from app.study.inbox import Inbox
from app.study.results import Results
from models.errors import Code, InputError

logger = logging.getLogger(__name__)

TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
    "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.201",  # High-Throughput JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.202",  # High-Throughput JPEG 2000 RPCL Lossless
    "1.2.840.10008.1.2.4.203",  # High-Throughput JPEG 2000
)
_MAXIMUM_PDU = 1 << 17


class Node:
    """The listening AE of one installation."""

    def __init__(self, config: Config) -> None:
        self._config = config.listener
        self._inbox = Inbox(config.storage)
        self._results = Results(Database(config.storage.root))
        self._arming = Arming(config, self._inbox)
        self._server: ThreadedAssociationServer | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._config.port

    def start(self) -> None:
        """Bind the port and answer from now on.

        Raises
        ------
        OSError
            The port is taken or the host is none of this computer's addresses.
        """
        receive_into(self._inbox.incoming)
        self._server = self._entity().start_server(
            (self._config.host, self._config.port),
            block=False,
            evt_handlers=[
                (evt.EVT_CONN_OPEN, send_at_once),
                (evt.EVT_REJECTED, self._on_rejected),
                (evt.EVT_C_STORE, self._on_store),
            ],
        )
        self._arming.start()
        logger.info(
            "listener ready: %s on %s port %d", self._config.ae_title, self._config.host, self._config.port
        )

    def stop(self) -> None:
        """End every association and free the port."""
        if self._server is not None:
            self._server.shutdown()
        self._arming.stop()

    def _entity(self) -> AE:
        entity = AE(ae_title=self._config.ae_title)
        entity.require_called_aet = True
        entity.require_calling_aet = list(self._config.calling_aes)
        entity.maximum_associations = self._config.max_associations
        entity.maximum_pdu_size = _MAXIMUM_PDU
        timeout = self._config.network_timeout.total_seconds()
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = timeout
        entity.add_supported_context(Verification)
        for context in AllStoragePresentationContexts:
            if context.abstract_syntax is not None:
                entity.add_supported_context(context.abstract_syntax, list(TRANSFER_SYNTAXES))
        return entity

    def _on_rejected(self, event: Event) -> None:
        requestor = event.assoc.requestor
        logger.warning(
            "%s: association of AE %s at %s for AE %s rejected",
            Code.CALLING_AE_REFUSED,
            ascii(requestor.ae_title),
            requestor.address,
            ascii(requestor.primitive.called_ae_title if requestor.primitive else ""),
        )

    def _on_store(self, event: Event) -> int:
        try:
            received, kept = self._keep(event)
        except InputError as error:
            status = STATUS[error.code]
            logger.warning("C-STORE refused with 0x%04X: %s", status, error)
            return status
        if not kept:
            text = f"instance {received.sop_instance} came again with other content; the first is kept"
            self._results.note(received.study, text)
            logger.warning("study %s: an instance came again with other content", short(received.study))
            return KEPT_THE_FIRST
        if received.exclusion is None:
            self._arming.mark(received.study)
        return SUCCESS

    def _keep(self, event: Event) -> tuple[Received, bool]:
        """Bring the received instance to its place on disk.

        Raises
        ------
        InputError
            Of a code that STATUS lists.
        """
        request = event.request
        if not isinstance(request, C_STORE) or event.dataset_path is None:
            raise InputError(Code.FILE_NOT_DICOM, "a C-STORE request came without a data set")
        file = claim(event.dataset_path)
        file.finish()
        self._inbox.require_space()
        received = read_received(
            event.dataset_path,
            str(request.AffectedSOPInstanceUID or ""),
            str(request.AffectedSOPClassUID or ""),
        )
        ignored = received.exclusion is not None
        kept = self._inbox.put(event.dataset_path, received.study, received.sop_instance, ignored=ignored)
        return received, kept
