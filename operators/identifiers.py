"""UIDs: which ones we accept, and how ours are made so that they can be recognised.

A result's UID follows from what it was made of and how, so a computation that is repeated after a crash
arrives at the same UID and the archive never holds a result twice.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping

from models.errors import Code, InputError

UID_MAX_CHARACTERS = 64
_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
_CHECK_BITS = 32
_ROOT = "2.25."


def is_valid_uid(text: str) -> bool:
    """Tell whether a text is digits and dots as PS3.5 section 9 wants them, so that it is safe in a path.

    Leading zeros of a component are tolerated: real archives send them, and they harm nothing.
    """
    return 0 < len(text) <= UID_MAX_CHARACTERS and _UID.fullmatch(text) is not None


def require_uid(text: str, keyword: str, name: str) -> str:
    """Return the UID ``text`` of element ``keyword`` in file ``name``.

    Raises
    ------
    InputError
        UID_INVALID when it is not a UID. The text is shown escaped and shortened: it may be hostile.
    """
    if not is_valid_uid(text):
        shown = ascii(text[:80])
        raise InputError(
            Code.UID_INVALID,
            f"{keyword} of {name} is not a DICOM UID: {shown} ({len(text)} characters). "
            "A UID is at most 64 digits and dots; correct it at the source and send the file again.",
        )
    return text


def own_uid(content: Mapping[str, object]) -> str:
    """Return the UID ``2.25.<UUID>`` that follows from ``content``, a JSON-able mapping.

    The UUID is version 8 (RFC 9562: made of a SHA-256 hash). Its last 32 bits are a check over the bits
    before them, by which :func:`is_own_uid` recognises a result of ours that an archive routes back.
    """
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    digest = hashlib.sha256(canonical.encode("ascii")).digest()
    marked = bytearray(digest[:12])
    marked[6] = 0x80 | (marked[6] & 0x0F)
    marked[8] = 0x80 | (marked[8] & 0x3F)
    head = bytes(marked)
    return _ROOT + str(uuid.UUID(bytes=head + _check(head)).int)


def derived_uid(sop_instance_uid: str, purpose: str) -> str:
    """Return the UID of something that belongs to one result: its series, its dimension organization."""
    return own_uid({"result": sop_instance_uid, "purpose": purpose})


def is_own_uid(text: str) -> bool:
    """Tell whether a UID was made by :func:`own_uid`; a foreign UID passes once in 2**32."""
    if not text.startswith(_ROOT) or not is_valid_uid(text):
        return False
    number = int(text.removeprefix(_ROOT))
    if number >= 1 << 128:
        return False
    raw = number.to_bytes(16, "big")
    return _check(raw[:12]) == raw[12:]


def substitute_uid(parts: Iterable[str]) -> str:
    """Return the UID that stands for one the source left empty; it follows from ``parts`` and is not ours."""
    joined = "\x00".join(parts).encode()
    return _ROOT + str(uuid.UUID(bytes=hashlib.sha256(joined).digest()[:16], version=4).int)


def _check(head: bytes) -> bytes:
    return hashlib.sha256(b"textseg result " + head).digest()[: _CHECK_BITS // 8]
