"""The commands that score, compare and tune."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import ConfigFile, Json, configuration
from models.errors import Code, ConfigError

PANEL = "Evaluate"

commands = typer.Typer()


class Switch(StrEnum):
    """An option that is on or off."""

    ON = "on"
    OFF = "off"


@commands.command(rich_help_panel=PANEL)
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

        raise typer.Exit(run_retrieval(retrieval, images, bundle, report, as_json, configuration(config)))
    from app.evaluate import evaluate as run_evaluation
    from app.evaluation_request import Request

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
    raise typer.Exit(run_evaluation(request, configuration(config)))


@commands.command(rich_help_panel=PANEL)
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


@commands.command(rich_help_panel=PANEL)
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


@commands.command(rich_help_panel=PANEL)
def search(
    dataset: Annotated[
        Path,
        typer.Argument(exists=True, file_okay=False, help="Images to tune on; nothing of it is evaluated."),
    ],
    out: Annotated[Path, typer.Option(dir_okay=False, help="JSON of all trials; one that is there goes on.")],
    layout: Annotated[str, typer.Option(help="Layout of the folder; docs/datasets.md has them.")] = "textseg",
    prompt_task: Annotated[
        str | None, typer.Option(help="Look for what this set of `textseg prompts list` names.")
    ] = None,
    kind: Annotated[str, typer.Option(help="Kind of prompt of --prompt-task: P0, P2, P4, VDT.")] = "P0",
    prompt: Annotated[str | None, typer.Option(help="Look for this instead.")] = None,
    tuning: Annotated[
        int | None, typer.Option(min=1, help="Labelled images to draw; 5 as in the paper.")
    ] = None,
    label_free: Annotated[
        bool, typer.Option("--label-free", help="Use no mask: the clearest choice wins.")
    ] = False,
    count: Annotated[int, typer.Option(min=1, help="Settings to try, drawn from the paper's grid.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Draws images and settings.")] = 0,
    evaluated: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Refuse to tune on images or patients of this set."),
    ] = None,
    bundle: Annotated[str | None, typer.Option(help="Model bundle; the configured one by default.")] = None,
    config: ConfigFile = None,
) -> None:
    """Search the settings of SaLIP, with the labels of a few images or with none.

    It ends with the lines to copy: `settings:` with `salip:` goes under a task of the site file (with
    `method: salip`), or under a bundle.yaml, where it holds for every task in the mode `recommended`.
    """
    from app.search import Request
    from app.search import search as run_search

    request = Request(
        dataset=dataset,
        out=out,
        layout=layout,
        prompt_task=prompt_task,
        kind=kind,
        prompt=prompt,
        tuning=tuning,
        label_free=label_free,
        count=count,
        seed=seed,
        evaluated=evaluated,
        bundle=bundle,
    )
    run_search(request, configuration(config))
