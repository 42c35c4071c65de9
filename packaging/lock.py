"""Resolve requirements*.in to hash-locked requirements*.txt and measure what an installation costs.

Run by `make lock`, in a virtual environment of its own that holds uv and the library `packaging`.
"""

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = "requirements"
DEVELOPMENT = "requirements-dev"
PLATFORM = "x86_64-manylinux_2_35"  # holoscan-cu13 asks for glibc 2.35 or newer
MEBIBYTE = 1024 * 1024

log = logging.getLogger("lock")


def compile_lock(uv: Path, source: Path, output: Path, constraint: Path | None = None) -> None:
    """Resolve ``source`` for Python 3.11 on Linux x86_64 and write ``output`` (.txt or .toml)."""
    command = [uv, "pip", "compile", source, "--output-file", output, "--quiet", "--no-header", "--no-config"]
    command += ["--python-version", "3.11", "--python-platform", PLATFORM]
    if output.suffix == ".txt":
        command += ["--generate-hashes", "--no-emit-index-url", "--no-emit-find-links"]
    if constraint is not None:
        command += ["--constraint", constraint]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def download_bytes(pylock: Path) -> int:
    """Sum the registry's sizes of the files that pip would choose on this machine."""
    rank = {tag: position for position, tag in enumerate(sys_tags())}
    total = 0
    for package in tomllib.loads(pylock.read_text())["packages"]:
        fitting = []
        for wheel in package.get("wheels", ()):
            ranks = [rank[tag] for tag in parse_wheel_filename(_file_name(wheel))[3] if tag in rank]
            if ranks:
                fitting.append((min(ranks), wheel["size"]))
        total += min(fitting)[1] if fitting else package["sdist"]["size"]
    return total


def _file_name(wheel: dict[str, str]) -> str:
    return wheel.get("name") or wheel["url"].rsplit("/", 1)[-1].replace("%2B", "+")


def disk_bytes(lock: Path, python: Path) -> int:
    """Install ``lock`` into an empty environment, which also proves that it installs, and measure that."""
    with tempfile.TemporaryDirectory(prefix="textseg-lock-") as folder:
        environment = Path(folder) / "venv"
        subprocess.run([python, "-m", "venv", environment], check=True)
        pip = [environment / "bin" / "python", "-m", "pip"]
        subprocess.run([*pip, "install", "--quiet", "--require-hashes", "-r", lock], check=True)
        subprocess.run([*pip, "check"], check=True)
        files = {
            (status.st_dev, status.st_ino): status.st_blocks * 512
            for place, _, names in os.walk(environment)
            for status in (os.lstat(os.path.join(place, name)) for name in names)  # noqa: PTH118
        }
    return sum(files.values())


def write_lock(path: Path, body: str, download: int, disk: int) -> None:
    """Put the header with the two sizes, which `make setup` reads, before the locked lines."""
    source = path.with_suffix(".in").name
    path.write_text(
        f"# Locked from {source} by `make lock` for Python 3.11 on Linux x86_64. Do not edit.\n"
        f"# download: {download / MEBIBYTE:.0f} MiB\n"
        f"# disk: {disk / MEBIBYTE:.0f} MiB\n" + body
    )


def main() -> None:
    """Write both locks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, required=True, help="a Python 3.11 that has venv")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    uv = Path(sys.executable).with_name("uv")
    runtime: Path | None = None
    for name in (RUNTIME, DEVELOPMENT):
        with tempfile.TemporaryDirectory(prefix="textseg-lock-") as folder:
            lock, pylock = Path(folder) / f"{name}.txt", Path(folder) / "pylock.toml"
            log.info("resolving %s.in", name)
            compile_lock(uv, ROOT / f"{name}.in", lock, runtime)
            compile_lock(uv, ROOT / f"{name}.in", pylock, lock)
            download = download_bytes(pylock)
            log.info("trial installation of %s.txt (%.0f MiB to download)", name, download / MEBIBYTE)
            disk = disk_bytes(lock, options.python)
            runtime = ROOT / f"{name}.txt"
            write_lock(runtime, lock.read_text(), download, disk)
            log.info("%s.txt is installed in %.0f MiB", name, disk / MEBIBYTE)


if __name__ == "__main__":
    main()
