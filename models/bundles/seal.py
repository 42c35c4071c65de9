"""Recording the hash of a file that has been made anew in a bundle's description."""

import hashlib
from pathlib import Path

from models.bundles.bundle import describe


def seal(folder: Path, role: str) -> str:
    """Write the SHA-256 of a bundle's own file into its bundle.yaml, keep every comment, and return it.

    Raises ModelError (BUNDLE-INVALID) when the description cannot be read.
    """
    entry = describe(folder)["files"][role]
    actual = hashlib.sha256((folder / entry["path"]).read_bytes()).hexdigest()
    description = folder / "bundle.yaml"
    text = description.read_text(encoding="utf-8").replace(entry["sha256"], actual)
    description.write_text(text, encoding="utf-8")
    return actual
