"""``textseg evaluate --retrieval``: image-text retrieval among groups of 50, as the paper judges encoders."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app.config import Config
from app.finetune import read_pairs

if TYPE_CHECKING:
    from models.evaluation.retrieval import Accuracy, Retrieval

BATCH = 64


def retrieval(
    table: Path, images: Path | None, bundle: str | None, report: Path | None, as_json: bool, config: Config
) -> int:
    """Embed the pairs of a captions' file with a bundle's encoder and print top-1 and top-2 accuracy.

    Raises DatasetError, ModelError, or ConfigError where the encoder is none that is read here.
    """
    from models.bundles.bundle import load_bundle
    from models.evaluation.retrieval import retrieve
    from models.finetune.start import trainable
    from models.finetune.train import embed

    captions = read_pairs(table, images)
    loaded = load_bundle(bundle or config.models.bundle, config.models.directory, config.models.device)
    model = trainable(loaded.encoder, Path(".cache/finetune"))
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("images", total=len(captions.pairs))
        model.prepare(
            [pair.image for pair in captions.pairs], lambda done, _: progress.update(bar, completed=done)
        )
    said = [pair.caption for pair in captions.pairs]
    found = retrieve(*embed(model, captions.pairs, BATCH), said)
    document = {
        "schema_version": "1",
        "bundle": loaded.name,
        "bundle_digest": loaded.digest,
        "captions": str(table),
        "too_short": captions.too_short,
        "cleaning": captions.cleaning.record(),
        **asdict(found),
    }
    text = json.dumps(document, indent=2) + "\n"
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(text, encoding="utf-8")
    if as_json:
        typer.echo(text, nl=False)
    else:
        Console().print(retrieval_table(loaded.name, found))
    return 0


def retrieval_table(name: str, found: "Retrieval") -> Table:
    """Return the accuracies in percent, mean and standard deviation over the runs."""
    table = Table(title=f"{name}: {found.pairs} pairs, groups of {found.settings.group}, %")
    for heading in ("right is", "direction", "top-1", "top-2"):
        table.add_column(heading, justify="left" if heading in {"right is", "direction"} else "right")
    policies = {"its own partner": found.strict, "any equal caption": found.tolerant}
    for policy, directions in policies.items():
        if directions is not None:
            table.add_row(policy, "image to text", *_cells(directions.image_to_text))
            table.add_row(policy, "text to image", *_cells(directions.text_to_image))
    return table


def _cells(value: "Accuracy") -> tuple[str, str]:
    return (
        f"{100 * value.top1:.2f} ± {100 * value.top1_std:.2f}",
        f"{100 * value.top2:.2f} ± {100 * value.top2_std:.2f}",
    )
