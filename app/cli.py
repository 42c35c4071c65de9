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
prompts = typer.Typer(no_args_is_help=True, help="The papers' prompts, in our own words.")
app.add_typer(prompts, name="prompts")


class Switch(StrEnum):
    """An option that is on or off."""

    ON = "on"
    OFF = "off"


class Loss(StrEnum):
    """The losses of :mod:`models.losses`; the last is no loss of the paper, see there."""

    INFO_NCE = "info-nce"
    DCL = "dcl"
    HN_NCE = "hn-nce"
    DHN_NCE = "dhn-nce"
    DHN_NCE_RELEASED = "dhn-nce-released"


class RecipeMode(StrEnum):
    """Whose numbers a fine-tuning takes."""

    RECOMMENDED = "recommended"
    PAPER = "paper"


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
        Path | None,
        typer.Argument(exists=True, file_okay=False, help="Folder with images/NAME.png and masks/NAME.png."),
    ] = None,
    layout: Annotated[str, typer.Option(help="Layout of the folder; docs/datasets.md has them.")] = "textseg",
    task: Annotated[str | None, typer.Option(help="Task of the configuration: prompts and settings.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Overrides prompts.csv and the task's prompts.")] = None,
    prompt_task: Annotated[
        str | None, typer.Option(help="Ask with a set of `textseg prompts list` instead of prompts.csv.")
    ] = None,
    kind: Annotated[str, typer.Option(help="Kind of prompt of --prompt-task: P0 to P5, VDT.")] = "P0",
    method: Annotated[str | None, typer.Option(help="Preset; the task's own by default.")] = None,
    mode: Annotated[str | None, typer.Option(help="Mode of the preset; the task's own by default.")] = None,
    bundle: Annotated[str | None, typer.Option(help="Model bundle; the configured one by default.")] = None,
    ensemble: Annotated[
        Switch | None, typer.Option(help="Checkpoint ensemble; on where the task named has one.")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Ask this baseline in the method's place.")] = None,
    support: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Labelled images for a few-shot baseline, same layout."
        ),
    ] = None,
    shots: Annotated[int, typer.Option(min=0, help="Draw so many of --support; 0: all of them.")] = 0,
    weights: Annotated[Path | None, typer.Option(dir_okay=False, help="Weights of universeg.")] = None,
    command: Annotated[str | None, typer.Option(help="Program behind protosam.")] = None,
    nsd_slab: Annotated[
        bool, typer.Option("--nsd-slab", help="Also the papers' NSD, which follows the DSC.")
    ] = False,
    ablation: Annotated[
        str | None, typer.Option(help="A paper's table: components, prompts, saliency, segmenter, salip.")
    ] = None,
    suite: Annotated[
        Path | None, typer.Option(exists=True, help="All methods on all data sets of a file or folder.")
    ] = None,
    work: Annotated[
        Path | None, typer.Option(file_okay=False, help="Where --ablation and --suite keep finished rows.")
    ] = None,
    roles: Annotated[
        list[str] | None, typer.Option("--with", help="ROLE=BUNDLE for rows that need another model.")
    ] = None,
    save_masks: Annotated[
        Path | None, typer.Option(file_okay=False, help="Save DIR/NAME.png (0/255).")
    ] = None,
    report: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the report as JSON.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the report as one HTML file (or into a folder).")
    ] = None,
    retrieval: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="CSV image,caption: judge the encoder by retrieval."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder of the images of --retrieval.")
    ] = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Score the method on a data set of images and masks.

    What is asked is --prompt, else the set of --prompt-task, else the data set's prompts.csv, else the
    prompts of --task.
    """
    if retrieval is not None:
        if dataset is not None:
            raise ConfigError(Code.USAGE, "--retrieval judges the pairs of its file: give no data set")
        from app.retrieval import retrieval as run_retrieval

        raise typer.Exit(run_retrieval(retrieval, images, bundle, report, as_json, _config(config)))
    from app.evaluate import Request
    from app.evaluate import evaluate as run_evaluation

    request = Request(
        dataset=dataset,
        layout=layout,
        task=task,
        prompt=prompt,
        prompt_task=prompt_task,
        kind=kind,
        method=method,
        mode=mode,
        bundle=bundle,
        ensemble=None if ensemble is None else ensemble is Switch.ON,
        baseline=baseline,
        support=support,
        shots=shots,
        weights=weights,
        command=command,
        nsd_slab=nsd_slab,
        ablation=ablation,
        suite=suite,
        work=work,
        roles=tuple(roles or ()),
        save_masks=save_masks,
        report=report,
        html=html,
        as_json=as_json,
    )
    raise typer.Exit(run_evaluation(request, _config(config)))


@app.command()
def compare(
    baseline: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Report to compare with.")],
    reports: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Reports to compare.")],
    metric: Annotated[str, typer.Option(help="dsc, nsd, iou or auc.")] = "dsc",
    unit: Annotated[
        str, typer.Option(help="What is independent: patient, or image as in the papers.")
    ] = "patient",
    as_json: Json = False,
) -> None:
    """Test reports of `evaluate` against a baseline report: paired, corrected after Holm."""
    from app.compare import show_comparison

    show_comparison(baseline, reports, metric, unit, as_json)


@prompts.command("list")
def list_prompts(as_json: Json = False) -> None:
    """List the tasks, kinds and subtypes of the papers' prompts."""
    from app.prompts import list_prompts as show_list

    show_list(as_json)


@prompts.command("show")
def show_prompts(
    task: Annotated[str, typer.Argument(help="Task of `textseg prompts list`.")],
    kind: Annotated[str, typer.Argument(help="P0 to P5, VDT.")],
    subtype: Annotated[str | None, typer.Option(help="Subtype for P1, P3, P5; side for VDT.")] = None,
    as_json: Json = False,
) -> None:
    """Print the wordings of one kind, a line each."""
    from app.prompts import show_prompts as show_wordings

    show_wordings(task, kind, subtype, as_json)


@prompts.command()
def template(
    target: Annotated[str, typer.Option(help="What to segment, such as: benign breast tumour.")],
    modality: Annotated[str, typer.Option(help="On what, such as: breast ultrasound.")],
) -> None:
    """Print the paper's question for a language model, filled in."""
    from models.prompts import template as fill_in

    typer.echo(fill_in(target, modality))


@app.command()
def captions(
    layout: Annotated[str, typer.Argument(help="roco, medpix, covid-chest or brain-labels.")],
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The data set's folder.")],
    table: Annotated[Path, typer.Argument(dir_okay=False, help="CSV to write: image, caption, patient.")],
) -> None:
    """Write a data set's captions as the CSV that fine-tuning and retrieval read."""
    from models.evaluation.layouts.captions import write_captions
    from models.evaluation.layouts.known import open_captions

    written = write_captions(open_captions(layout, folder), table)
    typer.echo(f"{written} pairs of image and caption: {table}")


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


@models.command("install")
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

    install(_config(config), combination, source, into, from_hub)


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
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="Only the table of all methods, on --each images.")
    ] = False,
    each: Annotated[int, typer.Option(min=1, help="Images of --side-by-side, per set and fold.")] = 2,
    report: Annotated[Path | None, typer.Option(dir_okay=False, help="Write all figures as JSON.")] = None,
    config: ConfigFile = None,
) -> None:
    """Train a head per fold, score every image by the one that never saw it, and print the tables."""
    if side_by_side:
        from app.align import side_by_side as show_all_methods

        show_all_methods(_config(config), data, work, processes, each, report)
        return
    from app.align import crossfit as run

    run(_config(config), data, work, processes, report)


@app.command()
def finetune(
    table: Annotated[
        Path, typer.Argument(metavar="CSV", exists=True, dir_okay=False, help="image,caption[,patient]")
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for weights, recipe and bundle.")],
    images: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder of the images; the CSV's own.")
    ] = None,
    bundle: Annotated[str | None, typer.Option(help="Model bundle; the configured one by default.")] = None,
    loss: Annotated[Loss, typer.Option(help="Contrastive loss.")] = Loss.DHN_NCE,
    mode: Annotated[RecipeMode, typer.Option(help="Whose numbers.")] = RecipeMode.RECOMMENDED,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch: Annotated[int | None, typer.Option(min=2)] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    held_out: Annotated[float | None, typer.Option(help="Share of the pairs to judge with.")] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    shortest: Annotated[int | None, typer.Option(min=1, help="Characters of the shortest caption.")] = None,
    freeze: Annotated[bool, typer.Option("--freeze", help="Only the projections learn.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    work: Annotated[Path, typer.Option(file_okay=False, help="Where features are kept.")] = Path(
        ".cache/finetune"
    ),
    compare_losses: Annotated[
        bool, typer.Option("--compare-losses", help="Train every loss with every seed and compare.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of --compare-losses.")] = 5,
    config: ConfigFile = None,
) -> None:
    """Fine-tune an encoder on pairs of image and caption; the best epoch on held-out patients is kept."""
    from app.finetune import Request
    from app.finetune import finetune as run

    request = Request(
        table=table,
        out=out,
        images=images,
        bundle=bundle,
        loss=loss.value,
        mode=mode.value,
        epochs=epochs,
        batch=batch,
        rate=rate,
        held_out=held_out,
        seed=seed,
        shortest=shortest,
        freeze=freeze,
        resume=resume,
        work=work,
        compare_losses=compare_losses,
        seeds=seeds,
    )
    raise typer.Exit(run(request, _config(config)))


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
