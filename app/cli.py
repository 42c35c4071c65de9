"""The command line ``textseg``: every command is a thin function that imports its work when it is called.

Starting up imports neither torch nor the service (a test watches over it). Exit codes: 0 done; 1 nothing
usable or failed; 2 usage, configuration or prompt; 3 (``run``) some series refused, others done.
"""

import warnings
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from models.errors import Code, ConfigError, PromptError, TextsegError

if TYPE_CHECKING:
    from app.config import Config

FAILED = 1
USAGE = 2


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
models = typer.Typer(no_args_is_help=True, help="The model bundles on this machine.")
app.add_typer(models, name="models")


class Switch(StrEnum):
    """An option that is on or off."""

    ON = "on"
    OFF = "off"


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
Study = Annotated[str, typer.Argument(help="Study as `textseg status` lists it.")]
Folder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of DICOM files.")]


def _config(site: Path | None) -> "Config":
    from app.config import load_config

    return load_config(site=site)


@app.command()
def serve(config: ConfigFile = None) -> None:
    """Run the whole service on this host: listener and worker."""
    from app.serve import serve as run_service

    run_service(_config(config))


@app.command()
def listener(config: ConfigFile = None) -> None:
    """Run the DICOM listener alone."""
    from app.serve import listener as run_listener

    run_listener(_config(config))


@app.command()
def worker(config: ConfigFile = None) -> None:
    """Run one worker alone."""
    from app.serve import worker as run_worker

    run_worker(_config(config))


@app.command()
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

    raise typer.Exit(run_once(input_folder, output_folder, task, prompt, _config(config)))


@app.command()
def evaluate(
    dataset: Annotated[
        Path,
        typer.Argument(exists=True, file_okay=False, help="Folder with images/NAME.png and masks/NAME.png."),
    ],
    task: Annotated[str | None, typer.Option(help="Task of the configuration: prompts and settings.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Overrides prompts.csv and the task's prompts.")] = None,
    method: Annotated[str | None, typer.Option(help="Preset; the task's own by default.")] = None,
    mode: Annotated[str | None, typer.Option(help="Mode of the preset; the task's own by default.")] = None,
    bundle: Annotated[str | None, typer.Option(help="Model bundle; the configured one by default.")] = None,
    ensemble: Annotated[
        Switch | None, typer.Option(help="Checkpoint ensemble; on where the task named has one.")
    ] = None,
    save_masks: Annotated[
        Path | None, typer.Option(file_okay=False, help="Save DIR/NAME.png (0/255).")
    ] = None,
    report: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the report as JSON.")] = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Score the method on a data set of images and masks.

    What is asked is --prompt, else the data set's prompts.csv, else the prompts of --task.
    """
    from app.evaluate import Request
    from app.evaluate import evaluate as run_evaluation

    request = Request(
        dataset=dataset,
        task=task,
        prompt=prompt,
        method=method,
        mode=mode,
        bundle=bundle,
        ensemble=None if ensemble is None else ensemble is Switch.ON,
        save_masks=save_masks,
        report=report,
        as_json=as_json,
    )
    raise typer.Exit(run_evaluation(request, _config(config)))


@app.command()
def explain(study_folder: Folder, as_json: Json = False, config: ConfigFile = None) -> None:
    """Say which rule takes which series of a study, and why the others are left out."""
    from app.explain import explain as explain_study

    explain_study(study_folder, _config(config), as_json)


@app.command("check-config")
def check_config(config: ConfigFile = None) -> None:
    """Print the effective configuration, and on stderr what is probably not meant. Exit code 2: unusable."""
    from app.config import check, effective

    checked = _config(config)
    typer.echo(effective(checked), nl=False)
    for problem in check(checked):
        typer.echo(f"warning: {problem}", err=True)


@app.command()
def status(as_json: Json = False, config: ConfigFile = None) -> None:
    """List the studies the service knows, and what became of them."""
    from app.status import status as show_status

    show_status(_config(config), as_json)


@app.command()
def retry(study: Study, config: ConfigFile = None) -> None:
    """Try a study in the dead letters again."""
    from app.status import retry as retry_study

    retry_study(_config(config), study)


@app.command()
def send(
    folder: Folder,
    ae: Annotated[str, typer.Option(help="Destination, by its name in the configuration.")],
    config: ConfigFile = None,
) -> None:
    """Send a folder of DICOM files to a configured destination by C-STORE."""
    from app.send import send as send_folder

    send_folder(_config(config), folder, ae)


@models.command("list")
def list_models(as_json: Json = False, config: ConfigFile = None) -> None:
    """List the bundles on this machine, with the state and the licence of every file."""
    from app.bundles import known_bundles, show

    loaded = _config(config)
    show(loaded, known_bundles(loaded), as_json)


@models.command("verify")
def verify_models(
    bundle: Annotated[str | None, typer.Argument(help="Bundle; the configured one by default.")] = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Check every file of a bundle by SHA-256; exit code 1 when one is missing or altered."""
    from app.bundles import show

    loaded = _config(config)
    if not show(loaded, (bundle or loaded.models.bundle,), as_json):
        raise typer.Exit(FAILED)


Data = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of the training sets.")]
Work = Annotated[Path, typer.Option(help="Where features and heads are kept, so that work goes on.")]
Processes = Annotated[int, typer.Option(min=1, help="Processes, one core each.")]


@app.command()
def align(
    data: Data,
    work: Work = Path(".cache/lite"),
    processes: Processes = 2,
    bundle: Annotated[
        Path | None, typer.Option(file_okay=False, help="Bundle that gets the head; `lite` by default.")
    ] = None,
) -> None:
    """Train the lite bundle's alignment head on folds 1 to 4 and put it into the bundle."""
    from app.align import align as train
    from models.bundles.bundle import folder_of

    train(data, work, processes, bundle or folder_of("lite"))


@app.command()
def crossfit(
    data: Data,
    work: Work = Path(".cache/lite"),
    processes: Processes = 2,
    report: Annotated[Path | None, typer.Option(dir_okay=False, help="Write all figures as JSON.")] = None,
    config: ConfigFile = None,
) -> None:
    """Train a head per fold, score every image by the one that never saw it, and print the tables."""
    from app.align import crossfit as run

    run(_config(config), data, work, processes, report)


@app.command()
def version(as_json: Json = False) -> None:
    """Print the version of the software."""
    import json

    number = _config(None).application.version
    typer.echo(json.dumps({"textseg": number}) if as_json else f"textseg {number}")


def main() -> None:
    """Entry point of the command ``textseg``."""
    # Raised inside a library at import; nobody who runs textseg can act on it.
    warnings.filterwarnings("ignore", message="`torch.jit", category=FutureWarning)
    app()


if __name__ == "__main__":
    main()
