"""Which SOP classes are images to segment, and which are never processed."""

from pydicom.dataset import Dataset
from pydicom.uid import UID

from operators import header as tags

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
_DERIVED = (
    "1.2.840.10008.5.1.4.1.1.66",  # Raw Data, registrations, Segmentation, Label Map, Surface Segmentation
    "1.2.840.10008.5.1.4.1.1.30",  # Parametric Map
    "1.2.840.10008.5.1.4.1.1.88",  # structured reports, Key Object Selection
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture
    "1.2.840.10008.5.1.4.1.1.11",  # presentation states
    "1.2.840.10008.5.1.4.1.1.77.1.6",  # Whole Slide Microscopy: tiles, not images
)
_DERIVED_MODALITIES = frozenset(
    {"SEG", "SR", "KO", "PR", "RWV", "REG", "RTSTRUCT", "RTDOSE", "RTPLAN", "DOC", "AU", "ECG"}
)
ENHANCED = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR
        "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR
        "1.2.840.10008.5.1.4.1.1.130",  # Enhanced PET
        "1.2.840.10008.5.1.4.1.1.128.1",  # Legacy Converted Enhanced PET
    }
)


def is_excluded(sop_class_uid: str, modality: str) -> bool:
    """Tell whether instances of this class are results, reports or states, which are never processed."""
    derived = any(sop_class_uid == root or sop_class_uid.startswith(root + ".") for root in _DERIVED)
    return derived or modality in _DERIVED_MODALITIES


def expects_pixels(found: Dataset) -> bool:
    """Tell whether an instance is an image that must carry Pixel Data to be of any use to us."""
    sop_class = tags.text(found, "SOPClassUID")
    if is_excluded(sop_class, tags.text(found, "Modality").upper()):
        return False
    return "Image Storage" in UID(sop_class).name
