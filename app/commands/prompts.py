"""The commands about the papers' prompts."""

from typing import Annotated

import typer

from app.commands.options import Json

commands = typer.Typer(no_args_is_help=True, help="The papers' prompts, in our own words.")


@commands.command("list")
def list_prompts(as_json: Json = False) -> None:
    """List the tasks, kinds and subtypes of the papers' prompts."""
    from app.prompts import list_prompts as show_list

    show_list(as_json)


@commands.command("show")
def show_prompts(
    task: Annotated[str, typer.Argument(help="Task of `textseg prompts list`.")],
    kind: Annotated[str, typer.Argument(help="P0 to P5, VDT.")],
    subtype: Annotated[str | None, typer.Option(help="Subtype for P1, P3, P5; side for VDT.")] = None,
    as_json: Json = False,
) -> None:
    """Print the wordings of one kind, a line each."""
    from app.prompts import show_prompts as show_wordings

    show_wordings(task, kind, subtype, as_json)


@commands.command()
def template(
    target: Annotated[str, typer.Option(help="What to segment, such as: benign breast tumour.")],
    modality: Annotated[str, typer.Option(help="On what, such as: breast ultrasound.")],
) -> None:
    """Print the paper's question for a language model, filled in."""
    from models.prompts import template as fill_in

    typer.echo(fill_in(target, modality))
