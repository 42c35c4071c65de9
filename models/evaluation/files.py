"""Files that are either the old ones or the new ones, never half of one."""

import os
from pathlib import Path


def replace_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path`` and put it into its place; OSError leaves nothing behind."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8 as :func:`replace_bytes` does."""
    replace_bytes(path, text.encode("utf-8"))
