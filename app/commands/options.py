"""What several commands share: exit codes, options and the configuration that they name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from app.config import Config

FAILED = 1
USAGE = 2

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="TEXTSEG_CONFIG",
        exists=True,
        dir_okay=False,
        help="Site file that overrides the packaged app.yaml.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of a table.")]


def configuration(site: Path | None) -> "Config":
    """Return the effective configuration, read when a command runs. Raises ConfigError."""
    from app.config import load_config

    return load_config(site=site)
