import hashlib
import json

import pytest
import yaml
from typer.testing import CliRunner

from app.bundles import known_bundles, model_files
from app.cli import app
from app.config import load_config

CONTENT = b"weights"


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "site-bundle"
    folder.mkdir()
    entry = {"path": "head.bin", "sha256": hashlib.sha256(CONTENT).hexdigest(), "licence": "Apache-2.0"}
    description = {"name": "site", "version": 3, "files": {"alignment-head": entry}}
    (folder / "bundle.yaml").write_text(yaml.safe_dump(description))
    (folder / "head.bin").write_bytes(CONTENT)
    return folder


def verify(*arguments):
    return CliRunner().invoke(app, ["models", "verify", *(str(argument) for argument in arguments)])


def test_verify_exits_with_0_when_every_file_has_its_hash(bundle):
    result = verify(bundle, "--json")
    assert result.exit_code == 0, result.output
    (file,) = json.loads(result.stdout)
    assert (file["bundle"], file["version"], file["role"], file["state"]) == (
        "site",
        "3",
        "alignment-head",
        "ok",
    )
    assert file["detail"] == str(bundle / "head.bin")


def test_verify_exits_with_1_and_names_the_altered_file(bundle):
    (bundle / "head.bin").write_bytes(CONTENT + b"!")
    result = verify(bundle, "--json")
    assert result.exit_code == 1
    (file,) = json.loads(result.stdout)
    assert file["state"] == "MODEL-HASH-MISMATCH"
    assert "head.bin" in file["detail"]


def test_verify_exits_with_1_when_a_file_is_missing(bundle):
    (bundle / "head.bin").unlink()
    result = verify(bundle)
    assert result.exit_code == 1
    assert "MODEL-MISSING" in result.stdout


def test_a_bundle_that_does_not_exist_is_an_error_that_lists_the_embedded_ones():
    result = verify("no-such-bundle")
    assert result.exit_code == 1
    assert "MODEL-MISSING" in result.stderr


def test_a_file_brought_in_by_hand_is_looked_at_first(bundle, tmp_path):
    by_hand = tmp_path / "models"
    by_hand.mkdir()
    (by_hand / "head.bin").write_bytes(CONTENT)
    site = tmp_path / "site.yaml"
    site.write_text(f"models: {{directory: {by_hand}}}\n")
    (file,) = model_files(load_config(site=site), str(bundle))
    assert file.detail == str(by_hand / "head.bin")


def test_the_configured_bundle_is_listed_beside_the_embedded_ones(bundle, tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text(f"models: {{bundle: {bundle}}}\n")
    assert str(bundle) in known_bundles(load_config(site=site))
