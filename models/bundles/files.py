"""The hash by which a model file is known, computed once while the file stays as it is."""

import hashlib
from functools import cache
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, computed once while it stays as it is."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@cache
def _sha256(path: Path, size: int, modified: int) -> str:
    del size, modified  # part of the key: a changed file is hashed again
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while chunk := opened.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()
