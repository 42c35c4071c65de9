"""``textseg models``: which bundles are on this machine, whether their files are right, and more of them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from app.config import Config
from models.bundles.bundle import describe, embedded, folder_of, installed, locate
from models.errors import Code, ConfigError, ModelError

OK = "ok"
OURS = "with textseg"


@dataclass(frozen=True)
class ModelFile:
    """One file of a bundle.

    ``size`` is in bytes, None where the file is not here. ``origin`` says whether the publisher's hash
    vouches for it: ``verified``, ``unverified``, or ``with textseg``. ``state`` is ``ok`` or the code of what
    is wrong, ``detail`` its path or why.
    """

    bundle: str
    version: str
    role: str
    sha256: str
    licence: str
    size: int | None
    origin: str
    intended_use: str
    state: str
    detail: str


def model_files(config: Config, reference: str) -> Iterator[ModelFile]:
    """Yield every file of a bundle with its state.

    Raises
    ------
    ModelError
        MODEL-MISSING when there is no such bundle, BUNDLE-INVALID when its description cannot be read.
    """
    folder = folder_of(reference, config.models.directory)
    description = describe(folder)
    unsaid = OURS if reference in embedded() else "unverified"
    for role, entry in description["files"].items():
        state, detail = _state(entry, folder, config.models.directory)
        yield ModelFile(
            bundle=description["name"],
            version=str(description["version"]),
            role=role,
            sha256=entry["sha256"],
            licence=entry.get("licence", ""),
            size=Path(detail).stat().st_size if state == OK else None,
            origin=entry.get("origin", unsaid),
            intended_use=description.get("intended-use", ""),
            state=state,
            detail=detail,
        )


def known_bundles(config: Config) -> tuple[str, ...]:
    """Return the embedded and the installed bundles, and the configured one where it is another."""
    return tuple(dict.fromkeys((*embedded(), *installed(config.models.directory), config.models.bundle)))


def show(config: Config, references: Sequence[str], as_json: bool) -> bool:
    """Print every file of these bundles, as a table or as JSON, and return whether all are as they should be.

    Raises
    ------
    ModelError
        As :func:`model_files`.
    """
    files = [file for reference in references for file in model_files(config, reference)]
    if as_json:
        typer.echo(json.dumps([asdict(file) for file in files], indent=2))
    else:
        _print(files)
    return all(file.state == OK for file in files)


def install(config: Config, combination: str, source: Path, into: Path | None, from_hub: bool) -> None:
    """Install a published pair of models from a folder, and show what was installed.

    Raises
    ------
    ConfigError
        USAGE: no folder to install into, no such combination, or installed already.
    ModelError
        A file is missing, altered or not what its name says.
    """
    from models.bundles import install as published

    target = into or config.models.directory
    if target is None:
        message = "no folder for models: give --into DIR, or set models.directory in the site file"
        raise ConfigError(Code.USAGE, message)
    if from_hub:
        published.fetch(combination, source)
    folder = published.install(combination, source, target)
    show(config, (str(folder),), as_json=False)
    typer.echo(f"Set models.directory: {target} and models.bundle: {combination} to use it.")


def _print(files: Sequence[ModelFile]) -> None:
    """Print a table per bundle, headed by its intended use, and under it what is wrong."""
    console = Console()
    for title, own in groupby(files, lambda file: f"{file.bundle} {file.version}: {file.intended_use}"):
        table = Table("file", "licence", title=title, title_justify="left")
        table.add_column("MB", justify="right", no_wrap=True)
        for heading in ("SHA-256", "origin", "state"):
            table.add_column(heading, no_wrap=True)
        wrong = []
        for file in own:
            size = "" if file.size is None else f"{file.size / 1e6:.1f}"
            table.add_row(file.role, file.licence, size, f"{file.sha256[:12]}…", file.origin, file.state)
            wrong += [] if file.state == OK else [f"{file.role}: {file.detail}"]
        console.print(table)
        for line in wrong:
            console.print(line, soft_wrap=True, markup=False)


def _state(entry: dict[str, str], folder: Path, directory: Path | None) -> tuple[str, str]:
    try:
        return OK, str(locate(entry, folder, directory))
    except ModelError as error:
        return error.code, error.message
