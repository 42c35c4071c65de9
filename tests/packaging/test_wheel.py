"""A wheel carries everything that the code reads beside itself."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("pyproject.toml", "requirements.in", "README.md", "LICENSE", "app.yaml")
ROOMS = ("app", "operators", "models")


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    tree, wheels = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheels")
    for name in SOURCES:
        shutil.copy(ROOT / name, tree)
    for name in ROOMS:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(wheels)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", *options, str(tree)], check=True)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.slow
def test_every_file_of_the_rooms_but_the_heads_of_other_folds_is_in_the_wheel(contents):
    files = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    heads = {name for name in files if name.startswith("models/align/trained/")}
    assert heads
    assert files - contents == heads


@pytest.mark.slow
def test_the_packaged_defaults_are_installed_beside_the_package(contents):
    assert any(name.endswith("/data/lib/python3.11/site-packages/app.yaml") for name in contents)


@pytest.mark.slow
def test_neither_tests_nor_packaging_are_in_the_wheel(contents):
    assert not [name for name in contents if name.startswith(("tests/", "packaging/"))]
