"""The outbox: every result object is written there once, and whatever is sent is sent from there."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pydicom

from app.study.inbox import sync_folder
from models.errors import Code, DeliveryError
from operators.identifiers import require_uid

KINDS = (
    ("1.2.840.10008.5.1.4.1.1.66", "SEG"),
    ("1.2.840.10008.5.1.4.1.1.30", "PM"),
    ("1.2.840.10008.5.1.4.1.1.88.59", "KO"),
    ("1.2.840.10008.5.1.4.1.1.88", "SR"),
    ("1.2.840.10008.5.1.4.1.1.7", "SC"),
)
"""Roots of SOP classes and the kind that a destination's ``accepts`` calls them: the first that fits."""


def kind_of(sop_class_uid: str) -> str:
    """Return SEG, PM, KO, SR or SC.

    Raises
    ------
    DeliveryError
        INTERNAL for any other class: we do not make them.
    """
    for root, kind in KINDS:
        if sop_class_uid == root or sop_class_uid.startswith(root + "."):
            return kind
    raise DeliveryError(
        Code.INTERNAL, f"a result has SOP class {sop_class_uid}, which is no result class of ours"
    )


def publish(files: Iterable[Path], outbox: Path) -> list[tuple[str, str, Path]]:
    """Copy result files into ``outbox`` and return (SOP Instance UID, kind, path) of each.

    A file of the same SOP Instance UID that is there already stays as it is, so a computation that is
    repeated after a crash cannot change what may have been sent. On return everything is on disk.
    """
    outbox.mkdir(parents=True, exist_ok=True)
    published = []
    for file in files:
        header = pydicom.dcmread(
            file, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"]
        )
        uid = require_uid(str(header.SOPInstanceUID), "SOPInstanceUID", file.name)
        target = outbox / f"{uid}.dcm"
        if not target.exists():
            partial = target.with_suffix(".part")
            with file.open("rb") as source, partial.open("wb") as copy:
                shutil.copyfileobj(source, copy)
                copy.flush()
                os.fsync(copy.fileno())
            partial.rename(target)
        published.append((uid, kind_of(str(header.SOPClassUID)), target))
    sync_folder(outbox)
    sync_folder(outbox.parent)
    return published
