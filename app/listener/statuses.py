"""The C-STORE status for every condition, as one table (PS3.4 Table B.2-1, PS3.7 Annex C)."""

from collections.abc import Mapping
from types import MappingProxyType

from models.errors import Code

SUCCESS = 0x0000
KEPT_THE_FIRST = 0xB000
"""Coercion of Data Elements: an instance of this UID with other content was here first, and is kept."""

STATUS: Mapping[Code, int] = MappingProxyType(
    {
        Code.STORAGE_FULL: 0xA700,  # Refused: Out of Resources - the sender may try again later
        Code.UID_INVALID: 0xA900,  # Error: Data Set does not match SOP Class
        Code.TAG_MISSING: 0xA900,
        Code.FILE_NOT_DICOM: 0xC000,  # Error: Cannot understand
    }
)
