"""The commands that train."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import ConfigFile, configuration

PANEL = "Train"

Data = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of the training sets.")]
Work = Annotated[Path, typer.Option(help="Where features and heads are kept, so that work goes on.")]
Processes = Annotated[int, typer.Option(min=1, help="Processes, one core each.")]
Bf16 = Annotated[
    bool,
    typer.Option("--bf16", help="Compute in bfloat16, where the processor has it."),
]

commands = typer.Typer()


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


class Labels(StrEnum):
    """Where the masks of a training come from."""

    PSEUDO = "pseudo"
    TRUTH = "truth"


class WeakSet(StrEnum):
    """The sets beside which there are images without masks."""

    BRAIN_MR = "brain_mr"
    CHEST_XRAY = "chest_xray"


class RateMode(StrEnum):
    """Whose learning rate a training in cycles follows."""

    RECOMMENDED = "recommended"
    RELEASED = "released"


@commands.command("pseudo-label", rich_help_panel=PANEL)
def pseudolabel(
    images: Annotated[
        Path,
        typer.Argument(exists=True, file_okay=False, help="Folder of PNG images, or with images/ in it."),
    ],
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for the labels; goes on where it stopped.")
    ],
    task: Annotated[str | None, typer.Option(help="Task of the configuration: prompts and settings.")] = None,
    prompt: Annotated[str | None, typer.Option(help="What to label, instead of a task's prompts.")] = None,
    method: Annotated[str | None, typer.Option(help="Preset; the task's own by default.")] = None,
    mode: Annotated[str | None, typer.Option(help="Mode of the preset; the task's own by default.")] = None,
    bundle: Annotated[str | None, typer.Option(help="Model bundle; the configured one by default.")] = None,
    config: ConfigFile = None,
) -> None:
    """Label images with the method's own answers, each with a confidence, to train on."""
    from app.pseudo_label import Request
    from app.pseudo_label import pseudo_label as run

    request = Request(images, out, task, prompt, method, mode, bundle)
    raise typer.Exit(run(request, configuration(config)))


@commands.command(rich_help_panel=PANEL)
def train(
    task: Annotated[str, typer.Argument(help="Task of the configuration: what the ensemble is for.")],
    data: Annotated[
        Path,
        typer.Option(
            exists=True, file_okay=False, help="Folder of `textseg pseudo-label`, or images/ and masks/."
        ),
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the ensemble.")],
    labels: Annotated[Labels, typer.Option(help="Whose masks.")] = Labels.PSEUDO,
    least_confidence: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Pseudo-labels below it are left out.")
    ] = 0.5,
    budget: Annotated[
        float | None, typer.Option(min=0.1, help="Minutes; network, images and batches are fitted to them.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="600; 60 with a budget.")] = None,
    cycles: Annotated[int, typer.Option(min=1)] = 3,
    keep: Annotated[int | None, typer.Option(min=1, help="Members of a cycle: 10; 2 with a budget.")] = None,
    rate: Annotated[RateMode, typer.Option(help="Learning rate within a cycle.")] = RateMode.RECOMMENDED,
    whole: Annotated[
        bool, typer.Option("--whole", help="See whole images, not a window around what was found.")
    ] = False,
    any_way_up: Annotated[
        bool,
        typer.Option("--any-way-up", help="Turn and mirror images all ways; they come upright otherwise."),
    ] = False,
    bf16: Bf16 = False,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    work: Annotated[
        Path | None, typer.Option(file_okay=False, help="Where nnU-Net works; OUT/work by default.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Train nnU-Net in cycles on labels; its checkpoints become an ensemble. Goes on where it stopped."""
    from app.train import Request
    from app.train import train as run

    request = Request(
        task=task,
        data=data,
        out=out,
        labels=labels.value,
        least_confidence=least_confidence,
        budget=budget,
        epochs=epochs,
        cycles=cycles,
        keep=keep,
        rate=rate.value,
        whole=whole,
        any_way_up=any_way_up,
        bf16=bf16,
        seed=seed,
        work=work,
    )
    raise typer.Exit(run(request, configuration(config)))


@commands.command(rich_help_panel=PANEL)
def align(
    data: Data,
    work: Work = Path(".cache/lite"),
    processes: Processes = 2,
    bf16: Bf16 = False,
    bundle: Annotated[
        Path | None, typer.Option(file_okay=False, help="Bundle that gets the head; `lite` by default.")
    ] = None,
) -> None:
    """Train the lite bundle's alignment head on folds 1 to 4 and put it into the bundle."""
    from app.align import Corpus
    from app.align import align as train
    from models.bundles.bundle import folder_of

    train(Corpus(data, work, processes, bf16), bundle or folder_of("lite"))


@commands.command(rich_help_panel=PANEL)
def crossfit(
    data: Data,
    work: Work = Path(".cache/lite"),
    processes: Processes = 2,
    bf16: Bf16 = False,
    heads: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="Folder of heads: what is there is not trained. models/align/trained has folds 1 to 4.",
        ),
    ] = None,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="Only the table of all methods, on --each images.")
    ] = False,
    each: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Images with a target per set and fold of these tables; 2 and all where nothing is said.",
        ),
    ] = None,
    weak_supervision: Annotated[
        bool,
        typer.Option("--weak-supervision", help="Only the table of what training on pseudo-labels adds."),
    ] = False,
    budget: Annotated[float, typer.Option(min=0.1, help="Minutes of each training of that table.")] = 14.0,
    unlabelled: Annotated[
        int | None,
        typer.Option(min=1, help="Images without masks that table learns from, per set; all of them."),
    ] = None,
    fold: Annotated[
        list[int] | None, typer.Option(min=1, max=5, help="Only this fold of that table; may be repeated.")
    ] = None,
    sets: Annotated[
        list[WeakSet] | None,
        typer.Option("--set", help="Only this set of that table; may be repeated."),
    ] = None,
    report: Annotated[Path | None, typer.Option(dir_okay=False, help="Write all figures as JSON.")] = None,
    config: ConfigFile = None,
) -> None:
    """Train a head per fold, score every image by the one that never saw it, and print the tables."""
    from app.align import Corpus

    corpus = Corpus(data, work, processes, bf16, heads)
    if side_by_side:
        from app.align import side_by_side as show_all_methods

        show_all_methods(configuration(config), corpus, each or 2, report)
        return
    if weak_supervision:
        from app.weak import Request
        from app.weak import weak_supervision as show_weak_supervision

        request = Request(
            corpus,
            budget,
            tuple(fold or ()),
            tuple(one.value for one in sets or ()),
            each,
            unlabelled,
            report,
        )
        show_weak_supervision(request, configuration(config))
        return
    from app.align import crossfit as run

    run(configuration(config), corpus, report)


@commands.command(rich_help_panel=PANEL)
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
    raise typer.Exit(run(request, configuration(config)))
