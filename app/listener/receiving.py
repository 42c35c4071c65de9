"""The file that a C-STORE request is received into, fragment by fragment.

pynetdicom writes chunked requests into a ``NamedTemporaryFile``. This class takes its place, because a full
disk must become a C-STORE status and not an exception in pynetdicom's reactor (which would abort the
association), and because what a broken association leaves half-written must vanish by itself.
"""

import logging
import os
import struct
import tempfile
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pynetdicom
from pynetdicom import dimse_messages
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from models.errors import Code, InputError

logger = logging.getLogger(__name__)

_BUFFER = 1 << 20
_open_files: "weakref.WeakValueDictionary[Path, ReceivingFile]" = weakref.WeakValueDictionary()


class ReceivingFile:
    """A file in the ``incoming`` folder that is removed unless it is moved away."""

    def __init__(self, folder: Path) -> None:
        self._error: OSError | None = None
        descriptor, self.name = tempfile.mkstemp(dir=folder, suffix=".part")
        self._stream = os.fdopen(descriptor, "wb", buffering=_BUFFER)
        self._discard = weakref.finalize(self, _discard, self.name)
        _open_files[Path(self.name)] = self

    @property
    def file(self) -> Self:
        """Itself: pynetdicom flushes ``file.file`` after every fragment."""
        return self

    def write(self, data: bytes) -> int:
        """Write, remembering a full disk for the answer instead of raising into the reactor."""
        self._attempt(lambda: self._stream.write(data))
        return len(data)

    def flush(self) -> None:
        """Hand everything written to the operating system."""
        self._attempt(self._stream.flush)

    def _attempt(self, action: Callable[[], object]) -> None:
        if self._error is None:
            try:
                action()
            except OSError as error:
                self._error = error

    def finish(self) -> None:
        """Bring every byte to the disk and close.

        Raises
        ------
        InputError
            STORAGE_FULL when any of the bytes could not be written.
        """
        try:
            if self._error is not None:
                raise self._error
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise InputError(
                Code.STORAGE_FULL,
                f"a received instance could not be written ({error.strerror}); free some space",
            ) from error
        finally:
            self.close()

    def close(self) -> None:
        """Close in silence: what a full disk left in the buffer is lost anyway, and not acknowledged."""
        try:
            self._stream.close()
        except OSError as error:
            self._error = self._error or error


def _discard(name: str) -> None:
    Path(name).unlink(missing_ok=True)


class _Folder:
    """Where the next request goes; one listener per process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: Path | None = None

    def set(self, folder: Path) -> None:
        with self._lock:
            self._folder = folder

    def open(self, **_: object) -> ReceivingFile:
        """Stand in for ``NamedTemporaryFile(delete=False, mode='wb', suffix='.dcm')``."""
        with self._lock:
            if self._folder is None:
                raise RuntimeError("receive_into was not called")
            return ReceivingFile(self._folder)


_folder = _Folder()


_receive = DIMSEServiceProvider.receive_primitive
_MALFORMED = (
    AttributeError,
    KeyError,
    IndexError,
    ValueError,
    TypeError,
    NotImplementedError,
    EOFError,
    OSError,
)


def _receive_or_abort(provider: DIMSEServiceProvider, primitive: P_DATA) -> None:
    """Abort the association on a malformed message, which would otherwise end the reactor without a word."""
    try:
        _receive(provider, primitive)
    except (*_MALFORMED, struct.error) as error:
        logger.warning("association aborted: a malformed DIMSE message (%s)", type(error).__name__)
        provider.message = None
        provider.dul.event_queue.put("Evt19")


def receive_into(folder: Path) -> None:
    """Make pynetdicom receive C-STORE requests into ``folder``, emptied of what an earlier process left."""
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("*.part"):
        leftover.unlink(missing_ok=True)
    _folder.set(folder)
    pynetdicom._config.STORE_RECV_CHUNKED_DATASET = True  # noqa: SLF001 - pynetdicom's documented switch
    # UIDs of any length and content reach the handler, which answers them with a status; the library would
    # abort the association instead.
    pynetdicom._config.VALIDATORS["UI"] = lambda _: (True, "")  # noqa: SLF001 - documented
    DIMSEServiceProvider.receive_primitive = _receive_or_abort  # type: ignore[method-assign,assignment]
    dimse_messages.NamedTemporaryFile = _folder.open  # type: ignore[attr-defined,assignment]


def claim(path: Path) -> ReceivingFile:
    """Return the open file that pynetdicom calls ``path``."""
    return _open_files[path]
