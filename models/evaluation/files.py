"""Files that are either the old ones or the new ones, never half of one."""

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8 beside ``path`` and put it into its place."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
