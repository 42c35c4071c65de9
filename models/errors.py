"""The one error hierarchy, and the stable codes that appear in reports, C-STORE statuses and the status list.

A message says what is wrong, in which file, tag or UID, and what to do about it. It never carries patient
identity: messages leave the process through logs that we do not control.
"""

from enum import StrEnum


class Code(StrEnum):
    """Stable code of every condition that textseg reports. A code is never renamed or reused."""

    # the request
    USAGE = "USAGE"
    CONFIG_INVALID = "CONFIG-INVALID"
    PROMPT_EMPTY = "PROMPT-EMPTY"
    PROMPT_TOO_LONG = "PROMPT-TOO-LONG"
    # the input as files
    INPUT_EMPTY = "INPUT-EMPTY"
    FILE_NOT_DICOM = "FILE-NOT-DICOM"
    FILE_REPEATED = "FILE-REPEATED"
    FILE_TRUNCATED = "FILE-TRUNCATED"
    PIXELS_MISSING = "PIXELS-MISSING"
    PIXELS_UNDECODABLE = "PIXELS-UNDECODABLE"
    PIXELS_TOO_LARGE = "PIXELS-TOO-LARGE"
    TRANSFER_SYNTAX_UNKNOWN = "TRANSFER-SYNTAX-UNKNOWN"
    TAG_MISSING = "TAG-MISSING"
    UID_INVALID = "UID-INVALID"
    # the input as a study
    PATIENT_MIXED = "PATIENT-MIXED"
    STUDY_TOO_OLD = "STUDY-TOO-OLD"
    NO_SERIES_SELECTED = "NO-SERIES-SELECTED"
    SOP_CLASS_EXCLUDED = "SOP-CLASS-EXCLUDED"
    OWN_RESULT = "OWN-RESULT"
    # the input as geometry
    GEOMETRY_MISSING_SLICE = "GEOMETRY-MISSING-SLICE"
    GEOMETRY_DUPLICATE_POSITION = "GEOMETRY-DUPLICATE-POSITION"
    GEOMETRY_UNEVEN_SPACING = "GEOMETRY-UNEVEN-SPACING"
    GEOMETRY_MIXED_ORIENTATION = "GEOMETRY-MIXED-ORIENTATION"
    GEOMETRY_MIXED_SIZE = "GEOMETRY-MIXED-SIZE"
    GEOMETRY_MIXED_FRAME_OF_REFERENCE = "GEOMETRY-MIXED-FRAME-OF-REFERENCE"
    GEOMETRY_TILT = "GEOMETRY-TILT"
    GEOMETRY_NO_POSITION = "GEOMETRY-NO-POSITION"
    GEOMETRY_LOCALIZER = "GEOMETRY-LOCALIZER"
    GEOMETRY_MIXED_MULTIFRAME = "GEOMETRY-MIXED-MULTIFRAME"
    GEOMETRY_CONCATENATION = "GEOMETRY-CONCATENATION"
    # the models
    DEVICE_MISSING = "DEVICE-MISSING"
    MODEL_MISSING = "MODEL-MISSING"
    MODEL_HASH_MISMATCH = "MODEL-HASH-MISMATCH"
    BUNDLE_INVALID = "BUNDLE-INVALID"
    GRADIENT_ZERO = "GRADIENT-ZERO"
    PROMPT_KIND_UNSUPPORTED = "PROMPT-KIND-UNSUPPORTED"
    COMMAND_FAILED = "COMMAND-FAILED"
    MEMBER_INVALID = "MEMBER-INVALID"
    ENSEMBLE_EMPTY = "ENSEMBLE-EMPTY"
    # what the method concludes
    TARGET_ABSENT = "TARGET-ABSENT"
    NO_COMPONENT = "NO-COMPONENT"
    NO_MASK = "NO-MASK"
    NO_REGION = "NO-REGION"
    REGIONS_ALIKE = "REGIONS-ALIKE"
    MARGIN_LOW = "MARGIN-LOW"
    # a data set for evaluation or training
    DATASET_INVALID = "DATASET-INVALID"
    RUN_MISMATCH = "RUN-MISMATCH"
    # the service
    CALLING_AE_REFUSED = "CALLING-AE-REFUSED"
    STORAGE_FULL = "STORAGE-FULL"
    DELIVERY_FAILED = "DELIVERY-FAILED"
    DELIVERY_REFUSED = "DELIVERY-REFUSED"
    TIME_EXCEEDED = "TIME-EXCEEDED"
    WORKER_DIED = "WORKER-DIED"
    INTERNAL = "INTERNAL"


class TextsegError(Exception):
    """Base of every error that textseg raises on purpose.

    Parameters
    ----------
    code
        Stable code, the same in report, status and log.
    message
        What is wrong, where, and what to do. No patient identity.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type["TextsegError"], tuple[Code, str]]:
        """Pickle by code and message, so that the error crosses processes with its type."""
        return type(self), (self.code, self.message)


class ConfigError(TextsegError):
    """The configuration or the command line asks for something impossible."""


class PromptError(TextsegError):
    """A text prompt cannot be used."""


class InputError(TextsegError):
    """A file, an instance or a study cannot be read or must not be processed."""


class GeometryError(InputError):
    """The instances of a series do not form a regular volume or a readable image."""


class ModelError(TextsegError):
    """A model file is missing, altered or of the wrong shape."""


class DatasetError(TextsegError):
    """A data set for evaluation or training does not follow its layout."""


class DeliveryError(TextsegError):
    """A result could not be handed to its destination."""
