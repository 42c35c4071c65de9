"""C-STORE as a user: one association, every instance counted by its own answer.

pynetdicom now and then loses a response: ``send_c_store`` returns an empty data set and the association is
gone. So an instance is delivered only when its own answer said so; the rest goes on a new association, at
once while that makes progress.
"""

import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pynetdicom
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.events import Event

from app.config import AE
from app.delivery.responses import Verdict, judge

logger = logging.getLogger(__name__)

_CONTEXTS_MAX = 128
_MAXIMUM_PDU = 1 << 17


@dataclass(frozen=True)
class Answer:
    """What became of one file in one association."""

    path: Path
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class _Item:
    path: Path
    sop_class: UID
    syntax: UID


def send_files(paths: Sequence[Path], ae: AE, calling: str, timeout: float) -> list[Answer]:
    """Send files to an AE and return one answer per file, in order.

    Files go out byte for byte as they are. Only for a peer that takes nothing but Implicit VR is an
    uncompressed file re-encoded. Whatever was not answered is to be sent AGAIN. Nothing that a peer does
    raises.
    """
    pynetdicom._config.STORE_SEND_CHUNKED_DATASET = True  # noqa: SLF001 - pynetdicom's documented switch
    items = [_item(path) for path in paths]
    answers: list[Answer] = []
    while len(answers) < len(items):
        made = _send_batch(_batch(items[len(answers) :]), ae, calling, timeout)
        if not made:
            lost = "the association ended before its answer"
            return answers + [Answer(item.path, Verdict.AGAIN, lost) for item in items[len(answers) :]]
        answers += made
    return answers


def _item(path: Path) -> _Item:
    meta = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"]).file_meta
    return _Item(path, UID(meta.MediaStorageSOPClassUID), UID(meta.TransferSyntaxUID))


def _contexts(items: Sequence[_Item]) -> set[tuple[UID, UID]]:
    wanted = {(item.sop_class, item.syntax) for item in items}
    plain = {(item.sop_class, ImplicitVRLittleEndian) for item in items if not item.syntax.is_compressed}
    return wanted | plain


def _batch(items: Sequence[_Item]) -> list[_Item]:
    """Return as many items as one association's presentation contexts (PS3.8 9.3.2.2) have room for."""
    count = next((n for n in range(1, len(items) + 1) if len(_contexts(items[:n])) > _CONTEXTS_MAX), None)
    return list(items if count is None else items[: count - 1])


def send_at_once(event: Event) -> None:
    """Send small PDUs at once; Nagle's algorithm costs 40 ms per image against a delayed acknowledgement."""
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _send_batch(items: Sequence[_Item], ae: AE, calling: str, timeout: float) -> list[Answer]:
    """Send items in one association; fewer answers than items when it ends early."""
    entity = ApplicationEntity(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = timeout
    for sop_class, syntax in sorted(_contexts(items)):
        entity.add_requested_context(sop_class, syntax)
    association = entity.associate(
        ae.host,
        ae.port,
        ae_title=ae.title,
        max_pdu=_MAXIMUM_PDU,
        evt_handlers=[(evt.EVT_CONN_OPEN, send_at_once)],
    )
    if not association.is_established:
        reason = _why_not(association, ae)
        return [Answer(item.path, *reason) for item in items]
    try:
        answers: list[Answer] = []
        for item in items:
            answer = _send_one(association, item)
            if answer is None:
                break
            answers.append(answer)
        return answers
    finally:
        if association.is_established:
            association.release()


def _why_not(association: Association, ae: AE) -> tuple[Verdict, str]:
    where = f"{ae.title} at {ae.host} port {ae.port}"
    if association.is_rejected:
        return Verdict.AGAIN, f"{where} rejected the association; let it know our AE title"
    if association.acceptor.primitive is not None:  # it answered, and accepted no context
        return Verdict.NEVER, f"{where} accepts none of the SOP classes and transfer syntaxes of the results"
    return Verdict.AGAIN, f"no association with {where}; is it running, and reachable from here?"


def _send_one(association: Association, item: _Item) -> Answer | None:
    """Return the answer to one C-STORE, None when there was none."""
    accepted = {(cx.abstract_syntax, cx.transfer_syntax[0]) for cx in association.accepted_contexts}
    if (item.sop_class, item.syntax) in accepted:
        response = association.send_c_store(item.path)
    elif (item.sop_class, ImplicitVRLittleEndian) in accepted and not item.syntax.is_compressed:
        response = association.send_c_store(pydicom.dcmread(item.path))
    else:
        name = item.sop_class.name
        return Answer(
            item.path, Verdict.NEVER, f"the destination does not accept {name} as {item.syntax.name}"
        )
    if "Status" not in response:
        return None
    status = int(response.Status)
    return Answer(item.path, judge(status), f"answered with status 0x{status:04X}")
