"""Reading single values from a DICOM header without trusting it.

Archives send missing, empty, multi-valued and unreadable elements. These functions say so with ``None``
instead of raising from the depth of a parser, so that the caller decides what an absent value means.
"""

import math
from collections.abc import Sequence

import pydicom.config
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

# pydicom's validation warnings quote the value, and a value may be a patient's name: keep them out of logs.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    AttributeError,
    KeyError,
    NotImplementedError,
    UnicodeError,
)
"""What pydicom raises when a raw element is converted for the first time and does not follow its VR."""


def value(header: Dataset, keyword: str) -> object | None:
    """Return the value of an element, or None when it is absent, empty or unreadable."""
    try:
        found: object = header.get(keyword)
    except UNREADABLE:
        return None
    if found is None or found == "" or (isinstance(found, (MultiValue, Sequence)) and len(found) == 0):
        return None
    return found


def text(header: Dataset, keyword: str) -> str:
    r"""Return a value as text, several values joined by ``\``; the empty string when there is none."""
    found = value(header, keyword)
    if found is None:
        return ""
    if isinstance(found, MultiValue):
        return "\\".join(str(item) for item in found)
    return str(found).strip()


def number(header: Dataset, keyword: str) -> float | None:
    """Return the first value as a finite number, or None."""
    found = value(header, keyword)
    first = found[0] if isinstance(found, (MultiValue, list)) else found
    return _finite(first)


def numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return exactly ``count`` finite numbers, or None."""
    found = value(header, keyword)
    if not isinstance(found, (MultiValue, list, tuple)) or len(found) != count:
        return None
    values = tuple(_finite(item) for item in found)
    return (
        None if any(item is None for item in values) else tuple(item for item in values if item is not None)
    )


def items(header: Dataset, keyword: str) -> Sequence[Dataset]:
    """Return the items of a sequence; empty when it is absent or unreadable."""
    found = value(header, keyword)
    return [item for item in found if isinstance(item, Dataset)] if isinstance(found, Sequence) else []


def _finite(found: object) -> float | None:
    try:
        result = float(found)  # type: ignore[arg-type]
    except UNREADABLE:
        return None
    return result if math.isfinite(result) else None
