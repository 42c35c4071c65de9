"""The package's manifests say what app.yaml says, in the shape that the SDK's own packager gives them."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIG = yaml.safe_load((ROOT / "app.yaml").read_text())


@pytest.fixture(scope="module")
def manifests():
    spec = importlib.util.spec_from_file_location("manifests", ROOT / "packaging" / "manifests.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["app.json", "pkg.json"])
def test_the_committed_manifests_are_those_of_app_yaml(manifests, name):
    committed = (ROOT / "packaging" / "map" / name).read_text()

    assert committed == manifests.rendered()[name], "run: python packaging/manifests.py"


def test_the_manifests_have_the_keys_of_the_sdks_packager():
    files = pytest.importorskip("holoscan_cli.packager.manifest_files")
    ours = {
        name: json.loads((ROOT / "packaging" / "map" / name).read_text()) for name in ("app.json", "pkg.json")
    }

    assert set(ours["app.json"]) == set(files.ApplicationManifest().data)
    assert set(ours["pkg.json"]) == set(files.PackageManifest().data)


def test_the_version_is_one_and_the_same_everywhere():
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)

    assert project[1] == CONFIG["application"]["version"]


def test_the_image_sets_the_environment_that_its_manifest_promises(manifests):
    dockerfile = (ROOT / "packaging" / "Dockerfile").read_text()

    for name, value in manifests.application_manifest(CONFIG)["environment"].items():
        assert f"{name}={value}" in dockerfile


def test_the_image_starts_what_its_manifest_names_and_not_as_root(manifests):
    dockerfile = (ROOT / "packaging" / "Dockerfile").read_text()
    (command,) = json.loads(manifests.application_manifest(CONFIG)["command"])

    assert json.loads(re.search(r"^ENTRYPOINT (.+)$", dockerfile, re.MULTILINE)[1]) == [command]
    assert int(re.search(r"^USER (\d+):0$", dockerfile, re.MULTILINE)[1]) > 0


def test_everything_the_image_copies_is_in_its_build_context():
    dockerfile = (ROOT / "packaging" / "Dockerfile").read_text()
    let_in = {
        line[1:]
        for line in (ROOT / "packaging" / "Dockerfile.dockerignore").read_text().split()
        if line[0] == "!"
    }
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
        if not source.startswith("--")
    ]

    assert copied
    for source in copied:
        assert source.rstrip("/") in let_in
        assert (ROOT / source).exists() or source == "README.md"
