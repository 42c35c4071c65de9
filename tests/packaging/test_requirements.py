"""The requirements say what the code imports, and the locks pin all of it by hash."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("app", "operators", "models")
PROVIDED_BY_ANOTHER_NAME = {"holoscan": "holoscan-cu13", "gdcm": "python-gdcm"}
DEMONSTRATION = ROOT / "app" / "demo"
TRAINING = ROOT / "models" / "align"


def pinned(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return dict(
        match.groups() for line in lines if (match := re.match(r"([A-Za-z0-9._-]+)==([^ ;\\]+)", line))
    )


def running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below but those that only the type checker reads; `make lint` proves these."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            kept = child.orelse
        else:
            kept = [child]
        for one in kept:
            yield one
            yield from running(one)


def imported(source: str) -> set[str]:
    names: set[str] = set()
    for node in running(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").split(".")[0])
    return names - set(sys.stdlib_module_names) - set(ROOMS)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_only_the_type_checker_imports_is_not_required_but_all_else_is():
    source = """
from typing import TYPE_CHECKING
import torch
if TYPE_CHECKING:
    from _typeshed import DataclassInstance
else:
    import numpy
def load():
    from huggingface_hub.errors import EntryNotFoundError
"""

    assert imported(source) == {"torch", "numpy", "huggingface_hub"}


@pytest.mark.parametrize("room", ROOMS)
def test_every_library_that_the_code_imports_is_required_by_name(room):
    runtime = {normal(name) for name in pinned("requirements.in")}
    development = runtime | {normal(name) for name in pinned("requirements-dev.in")}
    distributions = packages_distributions()
    missing = {}
    for path in (ROOT / room).rglob("*.py"):
        known = development if {DEMONSTRATION, TRAINING} & set(path.parents) else runtime
        for library in imported(path.read_text()):
            carriers = {normal(name) for name in distributions.get(library, [library])}
            if not carriers & known:
                missing.setdefault(library, path.relative_to(ROOT))

    assert not missing


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_locked_version_has_a_hash_and_no_line_names_a_place(name):
    text = (ROOT / name).read_text()
    entries = re.split(r"\n(?=[A-Za-z0-9])", "\n" + text)[1:]

    assert len(entries) == len(pinned(name)) > 50
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links|--trusted-host", text)


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_the_locks_are_those_of_their_sources(name):
    assert pinned(f"{name}.in").items() <= {**pinned(f"{name}.txt")}.items()


def test_what_is_tested_is_what_is_shipped():
    assert pinned("requirements.txt").items() <= pinned("requirements-dev.txt").items()


def test_the_lock_tells_the_size_of_the_download_and_on_disk():
    head = (ROOT / "requirements-dev.txt").read_text()[:400]

    download, disk = (
        int(re.search(rf"^# {what}: (\d+) MiB$", head, re.MULTILINE)[1]) for what in ("download", "disk")
    )
    assert 0 < download < disk


def test_the_folder_packaging_does_not_hide_the_library_packaging():
    code = "from packaging.version import Version; print(Version('1.10'))"

    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.stdout.strip() == "1.10", result.stderr
