"""``textseg finetune``: fine-tune a bundle's encoder on pairs of image and caption, or compare the losses."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app.config import Config
from app.progress import of_training

if TYPE_CHECKING:
    from models.bundles.bundle import Bundle
    from models.contracts import DualEncoder
    from models.finetune.captions import Captions
    from models.finetune.checkpoint import Epoch
    from models.finetune.compare import Compared, Interval
    from models.finetune.recipe import LossName, Recipe
    from models.finetune.train import Listener, Outcome

COMPARISON = "comparison"


@dataclass(frozen=True)
class Request:
    """The command line of ``textseg finetune``; None where an option was not given."""

    table: Path
    out: Path
    images: Path | None = None
    bundle: str | None = None
    loss: "LossName" = "dhn-nce"
    mode: Literal["recommended", "paper"] = "recommended"
    epochs: int | None = None
    batch: int | None = None
    rate: float | None = None
    held_out: float | None = None
    seed: int | None = None
    shortest: int | None = None
    freeze: bool = False
    resume: bool = False
    work: Path = Path(".cache/finetune")
    compare_losses: bool = False
    seeds: int = 5


def finetune(request: Request, config: Config) -> int:
    """Train, show what every epoch came to, and leave weights, recipe and a bundle under ``request.out``.

    With ``compare_losses`` every loss is trained once per seed and the table of all is written instead.

    Raises
    ------
    ConfigError
        USAGE: the bundle's encoder cannot be trained like that, or the recipe is impossible.
    DatasetError
        The captions' file is not usable, or ``request.out`` holds another run (RUN-MISMATCH).
    ModelError
        The bundle cannot be loaded.
    """
    from models.bundles.bundle import load_bundle
    from models.encoders.lite import LiteEncoder

    captions = read_pairs(request.table, request.images, request.shortest)
    reference = request.bundle or config.models.bundle
    bundle = load_bundle(reference, config.models.directory, config.models.device)
    recipe = recipe_of(request, isinstance(bundle.encoder, LiteEncoder) or request.freeze)
    if request.compare_losses:
        return _compare(request, bundle, captions, recipe)
    return _train(request, config, bundle.encoder, captions, recipe)


def read_pairs(table: Path, images: Path | None, shortest: int | None = None) -> "Captions":
    """Return the pairs of a captions' file; images are relative to its own folder by default."""
    from models.finetune.captions import Cleaning, read_captions

    cleaning = Cleaning() if shortest is None else Cleaning(shortest=shortest)
    return read_captions(table, images or table.parent, cleaning)


def recipe_of(request: Request, projections_only: bool) -> "Recipe":
    """Return the mode's recipe with what the command line changes. Raises ConfigError (USAGE)."""
    from models.errors import Code, ConfigError
    from models.finetune.start import preset

    asked = {
        "epochs": request.epochs,
        "batch": request.batch,
        "rate": request.rate,
        "held_out": request.held_out,
        "seed": request.seed,
    }
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    try:
        return replace(preset(request.mode, request.loss, projections_only), **given)
    except ValueError as error:
        raise ConfigError(Code.USAGE, str(error)) from error


def _train(
    request: Request, config: Config, encoder: "DualEncoder", captions: "Captions", recipe: "Recipe"
) -> int:
    from models.bundles.bundle import folder_of
    from models.finetune.start import derive_bundle, trainable
    from models.finetune.train import RECIPE, fine_tune

    model = trainable(encoder, request.work, request.freeze)
    with of_training() as progress:
        listener = _listener(progress, recipe.loss)
        outcome = fine_tune(model, captions, recipe, request.out, listener, request.resume)
    source = folder_of(request.bundle or config.models.bundle, config.models.directory)
    folder = derive_bundle(source, outcome.weights, request.out / RECIPE, request.out / "bundle")
    console = Console()
    console.print(_epochs_table(outcome, captions))
    console.print(f"weights: {outcome.weights}\nbundle: {folder} (use it with --bundle {folder})")
    return 0


def _compare(request: Request, bundle: "Bundle", captions: "Captions", recipe: "Recipe") -> int:
    from models.encoders.lite import LiteEncoder
    from models.finetune.checkpoint import write_json
    from models.finetune.compare import compare
    from models.finetune.start import trainable

    # The lite bundle's own projections were trained on concepts: every seed draws new ones.
    encoder = bundle.encoder
    fresh = isinstance(encoder, LiteEncoder)
    with of_training() as progress:
        rows = compare(
            lambda seed: trainable(encoder, request.work, request.freeze, seed if fresh else None),
            captions,
            recipe,
            request.seeds,
            request.out,
            lambda loss, seed: _listener(progress, f"{loss}, seed {seed}"),
            request.resume,
        )
    write_json(
        request.out / f"{COMPARISON}.json",
        {
            "bundle": bundle.name,
            "bundle_version": bundle.version,
            "bundle_digest": bundle.digest,
            "recipe": recipe.record(),
            "seeds": request.seeds,
            "losses": [asdict(row) for row in rows],
        },
    )
    text = comparison_markdown(rows)
    (request.out / f"{COMPARISON}.md").write_text(text, encoding="utf-8")
    console = Console()
    console.print(_comparison_table(rows, captions))
    console.print(f"tables: {request.out / COMPARISON}.md, {request.out / COMPARISON}.json")
    return 0


def _listener(progress: Progress, name: str) -> "Listener":
    from models.finetune.train import Listener

    prepared = progress.add_task(f"{name}: features", total=None, loss="")
    stepped = progress.add_task(f"{name}: steps", total=None, loss="")
    return Listener(
        lambda done, total: progress.update(prepared, completed=done, total=total, visible=done < total),
        lambda done, total, loss: progress.update(
            stepped, completed=done, total=total, loss=f"loss {loss:.3f}", visible=done < total
        ),
    )


def _epochs_table(outcome: "Outcome", captions: "Captions") -> Table:
    from models.finetune.compare import FIGURES

    table = Table(
        title=f"{len(outcome.split.train)} pairs trained, {len(outcome.split.held_out)} held out by patient, "
        f"{captions.too_short} captions too short; best: epoch {outcome.best.epoch}"
    )
    for heading in ("epoch", "loss", *FIGURES):
        table.add_column(heading, justify="right")
    for epoch in outcome.epochs:
        cells = [str(epoch.epoch), "" if epoch.loss is None else f"{epoch.loss:.3f}", *_judged(epoch)]
        table.add_row(*cells, style="bold" if epoch is outcome.best else None)
    return table


def _judged(epoch: "Epoch") -> list[str]:
    from models.finetune.compare import FIGURES

    found = epoch.tolerant or epoch.strict
    return [f"{100 * found[name]:.1f}" if found else "" for name in FIGURES]


def _comparison_table(rows: "list[Compared]", captions: "Captions") -> Table:
    from models.finetune.compare import FIGURES

    table = Table(title=f"{len(captions.pairs)} pairs, held-out retrieval in %, mean and 95 % interval")
    table.add_column("loss")
    for name in FIGURES:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row.loss, *(_percent(row.tolerant[name]) for name in FIGURES))
    return table


def comparison_markdown(rows: "list[Compared]") -> str:
    """Return three tables: equal captions accepted, only the own one accepted, and the differences."""
    from models.finetune.compare import FIGURES

    parts = []
    for title in ("tolerant", "strict", "difference"):
        lines = [f"| {title} | {' | '.join(FIGURES)} |", "|---|" + "---:|" * len(FIGURES)]
        for row in rows:
            found: dict[str, Interval] = getattr(row, title)
            lines.append(f"| {row.loss} | {' | '.join(_percent(found[name]) for name in FIGURES)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _percent(value: "Interval") -> str:
    if value.ci95 is None:
        return f"{100 * value.mean:.1f}"
    low, high = (100 * bound for bound in value.ci95)
    return f"{100 * value.mean:.1f} ({low:.1f} to {high:.1f})"
