"""The package's entry point: what it runs, and that a failure is not swallowed."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

ENTRY_POINT = Path(__file__).resolve().parents[2] / "packaging" / "entrypoint.sh"


@pytest.fixture
def run(tmp_path: Path):
    """Run the entry point with a `textseg` that tells its arguments and exits as told."""
    command = tmp_path / "textseg"
    command.write_text('#!/bin/sh\necho "$@"\nexit "${EXIT:-0}"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)

    def start(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **environment}
        return subprocess.run(
            ["bash", ENTRY_POINT, *arguments], env=clean, capture_output=True, text=True, check=False
        )

    return start


def test_it_runs_the_application_over_the_input_folder(run):
    assert run().stdout.split() == ["run", "/var/holoscan/input", "/var/holoscan/output"]


@pytest.mark.parametrize("code", ["0", "1", "2", "3"])
def test_the_exit_code_of_the_application_is_passed_through(run, code):
    assert run(EXIT=code).returncode == int(code)


@pytest.mark.parametrize("prefix", ["HOLOSCAN_{}_PATH", "MONAI_{}PATH"])
def test_a_platform_may_put_input_and_output_elsewhere(run, prefix):
    places = {prefix.format("INPUT"): "/in", prefix.format("OUTPUT"): "/out"}

    assert run(**places).stdout.split() == ["run", "/in", "/out"]


def test_options_go_to_the_application(run):
    assert run("--prompt", "the liver").stdout.strip().endswith("/var/holoscan/output --prompt the liver")


def test_other_commands_of_textseg_can_be_run(run):
    assert run("textseg", "serve", EXIT="3").stdout.split() == ["serve"]
    assert run("textseg", "serve", EXIT="3").returncode == 3


def test_show_prints_the_manifests(run, tmp_path):
    (tmp_path / "app.json").write_text("the app manifest")
    (tmp_path / "pkg.json").write_text("the pkg manifest")
    places = {
        "HOLOSCAN_APP_MANIFEST_PATH": str(tmp_path / "app.json"),
        "HOLOSCAN_PKG_MANIFEST_PATH": str(tmp_path / "pkg.json"),
    }

    assert run("show", "app", **places).stdout == "the app manifest"
    assert run("show", "pkg", **places).stdout == "the pkg manifest"
    assert "app" in run("show", **places).stdout


def test_showing_a_manifest_that_is_not_there_fails(run, tmp_path):
    assert run("show", "app", HOLOSCAN_APP_MANIFEST_PATH=str(tmp_path / "none")).returncode != 0
