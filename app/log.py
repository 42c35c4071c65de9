"""Logs: one line per event on stderr, without patient data and without the words of other libraries."""

import hashlib
import logging
import sys
import warnings

_ROOMS = ("app", "operators", "models")


def short(uid: str) -> str:
    """Return the name under which a UID appears in logs and in the study list: 12 hexadecimal digits."""
    return hashlib.sha256(uid.encode()).hexdigest()[:12]


def log_to_stderr() -> None:
    """Send our own events to stderr and silence libraries, whose messages quote values of data sets."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(processName)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    )
    for room in _ROOMS:
        logger = logging.getLogger(room)
        logger.handlers[:] = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False
    logging.getLogger().addHandler(logging.NullHandler())
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # a broken stderr must not print the exception being handled
    warnings.simplefilter("ignore")
