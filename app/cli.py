"""The command line ``textseg``: every command is a thin function that imports its work when it is called.

Here is the service, and what ``textseg`` is put together from; the other commands lie in :mod:`app.commands`.
Starting up imports neither torch nor the service (a test watches over it). Exit codes: 0 done; 1 nothing
usable or failed; 2 usage, configuration or prompt; 3 (``run``) some series refused, others done.
"""

import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from app.commands import evaluation, models, prompts, training
from app.commands.options import FAILED, USAGE, ConfigFile, Json, configuration
from models.errors import Code, ConfigError, PromptError, TextsegError

SERVICE, TRY = "Service", "Try"

Study = Annotated[str, typer.Argument(help="Study as `textseg status` lists it.")]
Folder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of DICOM files.")]


def exit_code(error: TextsegError) -> int:
    """Return 2 when the request itself is wrong (command line, configuration, prompt), otherwise 1."""
    wrong_request = isinstance(error, ConfigError | PromptError) or error.code is Code.USAGE
    return USAGE if wrong_request else FAILED


class Commands(TyperGroup):
    """The commands, with every error that textseg raises on purpose shown as one line on stderr."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command of ``ctx``; a :class:`TextsegError` becomes its message and an exit code."""
        try:
            return super().invoke(ctx)
        except TextsegError as error:
            typer.echo(f"textseg: {error}", err=True)
            raise typer.Exit(exit_code(error)) from error


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Segment what you name in words, as a DICOM node. Research use, not for diagnosis.",
)


@app.command(rich_help_panel=SERVICE)
def serve(config: ConfigFile = None) -> None:
    """Run the whole service on this host: listener and worker."""
    from app.serve import serve as run_service

    run_service(configuration(config))


@app.command(rich_help_panel=SERVICE)
def listener(config: ConfigFile = None) -> None:
    """Run the DICOM listener alone."""
    from app.serve import listener as run_listener

    run_listener(configuration(config))


@app.command(rich_help_panel=SERVICE)
def worker(config: ConfigFile = None) -> None:
    """Run one worker alone."""
    from app.serve import worker as run_worker

    run_worker(configuration(config))


@app.command(rich_help_panel=SERVICE)
def status(as_json: Json = False, config: ConfigFile = None) -> None:
    """List the studies the service knows, and what became of them."""
    from app.status import status as show_status

    show_status(configuration(config), as_json)


@app.command(rich_help_panel=SERVICE)
def retry(study: Study, config: ConfigFile = None) -> None:
    """Try a study in the dead letters again."""
    from app.status import retry as retry_study

    retry_study(configuration(config), study)


@app.command(rich_help_panel=SERVICE)
def send(
    folder: Folder,
    ae: Annotated[str, typer.Option(help="Destination, by its name in the configuration.")],
    config: ConfigFile = None,
) -> None:
    """Send a folder of DICOM files to a configured destination by C-STORE."""
    from app.send import send as send_folder

    send_folder(configuration(config), folder, ae)


@app.command("check-config", rich_help_panel=SERVICE)
def checkconfiguration(config: ConfigFile = None) -> None:
    """Print the effective configuration, and on stderr what is probably not meant. Exit code 2: unusable."""
    from app.config import check, effective
    from app.task_settings import check_settings

    checked = configuration(config)
    check_settings(checked)
    typer.echo(effective(checked), nl=False)
    for problem in check(checked):
        typer.echo(f"warning: {problem}", err=True)


@app.command(rich_help_panel=TRY)
def run(
    input_folder: Annotated[
        Path, typer.Argument(metavar="INPUT", exists=True, help="Folder of DICOM files, or one file.")
    ],
    output_folder: Annotated[
        Path, typer.Argument(metavar="OUTPUT", file_okay=False, help="Folder for objects and report.json.")
    ],
    task: Annotated[str | None, typer.Option(help="Only this task of the configuration.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Segment this in every usable series instead.")] = None,
    config: ConfigFile = None,
) -> None:
    """Segment a folder of DICOM files once.

    Exit code 0: every selected series was segmented or nothing was found in it; 3: some were refused, others
    done; 1: nothing usable; 2: usage.
    """
    if task is not None and prompt is not None:
        raise ConfigError(Code.USAGE, "--task and --prompt exclude each other: give one of them")
    from app.run import run as run_once

    raise typer.Exit(run_once(input_folder, output_folder, task, prompt, configuration(config)))


@app.command(rich_help_panel=SERVICE)
def explain(study_folder: Folder, as_json: Json = False, config: ConfigFile = None) -> None:
    """Say which rule takes which series of a study, and why the others are left out."""
    from app.explain import explain as explain_study

    explain_study(study_folder, configuration(config), as_json)


app.add_typer(prompts.commands, name="prompts", rich_help_panel=TRY)
app.add_typer(evaluation.commands)
app.add_typer(training.commands)
app.add_typer(models.commands, name="models", rich_help_panel="Models")


@app.command(rich_help_panel=TRY)
def version(as_json: Json = False) -> None:
    """Print the version of the software."""
    import json

    number = configuration(None).application.version
    typer.echo(json.dumps({"textseg": number}) if as_json else f"textseg {number}")


def main() -> None:
    """Entry point of the command ``textseg``."""
    # Raised inside a library at import; nobody who runs textseg can act on it.
    warnings.filterwarnings("ignore", message="`torch.jit", category=FutureWarning)
    app()


if __name__ == "__main__":
    main()
