"""The commands about model bundles."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import FAILED, ConfigFile, Json, configuration

commands = typer.Typer(no_args_is_help=True, help="The model bundles on this machine.")


@commands.command("list")
def list_models(as_json: Json = False, config: ConfigFile = None) -> None:
    """List the bundles on this machine, with the state and the licence of every file."""
    from app.bundles import known_bundles, show

    loaded = configuration(config)
    show(loaded, known_bundles(loaded), as_json)


@commands.command("verify")
def verify_models(
    bundle: Annotated[str | None, typer.Argument(help="Bundle; the configured one by default.")] = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Check every file of a bundle by SHA-256; exit code 1 when one is missing or altered."""
    from app.bundles import show

    loaded = configuration(config)
    if not show(loaded, (bundle or loaded.models.bundle,), as_json):
        raise typer.Exit(FAILED)


@commands.command("install")
def install_models(
    combination: Annotated[
        str, typer.Argument(metavar="NAME", help="Encoder and segmenter, such as biomedclip-sam.")
    ],
    source: Annotated[
        Path, typer.Option("--from", exists=True, file_okay=False, help="Folder with the published files.")
    ],
    into: Annotated[
        Path | None, typer.Option(file_okay=False, help="Models directory; the configured one by default.")
    ] = None,
    from_hub: Annotated[
        bool, typer.Option("--from-hub", help="Fetch what that folder lacks from the hub, where it has it.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Install published models: check their hashes, convert them to safetensors, make them a bundle."""
    from app.bundles import install

    install(configuration(config), combination, source, into, from_hub)
