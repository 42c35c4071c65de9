"""``textseg models``: which bundles are on this machine, and whether their files are the right ones."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Column, Table

from app.config import Config
from models.bundles.bundle import describe, embedded, folder_of, locate
from models.errors import ModelError

OK = "ok"


@dataclass(frozen=True)
class ModelFile:
    """One file of a bundle: ``state`` is ``ok`` or the code of what is wrong, ``detail`` its path or why."""

    bundle: str
    version: str
    role: str
    sha256: str
    licence: str
    state: str
    detail: str


def model_files(config: Config, reference: str) -> Iterator[ModelFile]:
    """Yield every file of a bundle with its state.

    Raises
    ------
    ModelError
        MODEL-MISSING when there is no such bundle, BUNDLE-INVALID when its description cannot be read.
    """
    folder = folder_of(reference)
    description = describe(folder)
    for role, entry in description["files"].items():
        state, detail = _state(entry, folder, config.models.directory)
        yield ModelFile(
            bundle=description["name"],
            version=str(description["version"]),
            role=role,
            sha256=entry["sha256"],
            licence=entry.get("licence", ""),
            state=state,
            detail=detail,
        )


def known_bundles(config: Config) -> tuple[str, ...]:
    """Return the embedded bundles, and the configured one where it is another."""
    return tuple(dict.fromkeys((*embedded(), config.models.bundle)))


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
        table = Table(
            "bundle", "version", Column("file", no_wrap=True), "licence", Column("state", no_wrap=True)
        )
        table.add_column("where, or why not", overflow="fold")
        for file in files:
            table.add_row(file.bundle, file.version, file.role, file.licence, file.state, file.detail)
        Console().print(table)
    return all(file.state == OK for file in files)


def _state(entry: dict[str, str], folder: Path, directory: Path | None) -> tuple[str, str]:
    try:
        return OK, str(locate(entry, folder, directory))
    except ModelError as error:
        return error.code, error.message
