"""Received instances on disk: ``inbox/STUDY/INSTANCE.dcm``, named by validated UIDs.

The files are the truth about what was received; everything a database says about the inbox can be made
again from them.
"""

import contextlib
import filecmp
import os
import shutil
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.config import Storage, Study
from models.errors import Code, InputError

SUFFIX = ".dcm"
_UNFINISHED_SECONDS = 3600.0
"""Far longer than any association may be silent (listener.network_timeout)."""
_FULL = "there is less free space than storage.reserve asks for; free some, then send again"


@dataclass(frozen=True)
class Arrivals:
    """When the instances of a study that no generation holds yet arrived (Unix time, seconds)."""

    first: float
    last: float

    def due(self, study: Study) -> float:
        """Return when the study is quiet: ``quiet`` after the last, at most ``at_most`` after the first."""
        return min(self.last + study.quiet.total_seconds(), self.first + study.at_most.total_seconds())


class Inbox:
    """The inbox of one installation, and beside it what was received and is never processed."""

    def __init__(self, storage: Storage) -> None:
        self.root = storage.inbox
        self.ignored = storage.root / "ignored"
        self.incoming = storage.root / "incoming"
        self._reserve = storage.reserve
        self._moving = threading.Lock()
        for folder in (self.root, self.ignored, self.incoming):
            folder.mkdir(parents=True, exist_ok=True)

    def require_space(self) -> None:
        """Raise InputError STORAGE_FULL when free space has fallen below the reserve."""
        if shutil.disk_usage(self.incoming).free < self._reserve:
            raise InputError(Code.STORAGE_FULL, _FULL)

    def put(self, received: Path, study: str, sop_instance: str, *, ignored: bool) -> bool:
        """Move a complete file, already on disk, to its place for good; return False when it is not kept.

        Bytes already there are kept: the same bytes again are a repeated delivery (True), others are not
        taken (False). When this returns, folder entries are on disk too.

        Raises
        ------
        InputError
            STORAGE_FULL.
        """
        folder = (self.ignored if ignored else self.root) / study
        target = folder / (sop_instance + SUFFIX)
        try:
            with self._moving:
                if not folder.is_dir():
                    folder.mkdir()
                    sync_folder(folder.parent)
                if target.exists():
                    return filecmp.cmp(received, target, shallow=False)
                received.rename(target)
            sync_folder(folder)
        except OSError as error:
            raise InputError(Code.STORAGE_FULL, f"{_FULL} ({error.strerror})") from error
        return True

    def discard_unfinished(self) -> None:
        """Delete what broken associations left half received, should it still be there."""
        for path in self.incoming.glob("*.part"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _UNFINISHED_SECONDS:
                    path.unlink()

    def studies(self) -> tuple[str, ...]:
        """Return the Study Instance UIDs that have a folder."""
        return tuple(sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir()))

    def instances(self, study: str) -> dict[str, Path]:
        """Return the received instances of a study: SOP Instance UID to file."""
        folder = self.root / study
        if not folder.is_dir():
            return {}
        return {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob("*" + SUFFIX))}

    def arrivals(self, study: str, known: frozenset[str]) -> Arrivals | None:
        """Return when the instances beyond ``known`` arrived, None when there are none."""
        times = [path.stat().st_mtime for sop, path in self.instances(study).items() if sop not in known]
        return Arrivals(min(times), max(times)) if times else None

    def remove(self, study: str, older_than: datetime) -> bool:
        """Delete what was received of a study unless something arrived after ``older_than``."""
        arrivals = self.arrivals(study, frozenset())
        if arrivals is not None and arrivals.last > older_than.timestamp():
            return False
        for folder in (self.root / study, self.ignored / study):
            shutil.rmtree(folder, ignore_errors=True)
        return True


def sync_folder(folder: Path) -> None:
    """Bring the entries of a folder to the disk; a rename is durable only then."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
