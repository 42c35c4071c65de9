"""``textseg pseudo-label``: the method's own answers about a folder of images, as labels to train on."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from app.config import Config
from app.method_choice import chosen_preset, load_method, only_target
from models.errors import Code, ConfigError
from operators.task import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.ensemble.pseudo_set import Row
    from models.method import Method

DONE, NOTHING_FOUND = 0, 1


@dataclass(frozen=True)
class Request:
    """The command line of ``textseg pseudo-label``; None where an option was not given."""

    images: Path
    out: Path
    task: str | None = None
    prompt: str | None = None
    method: str | None = None
    mode: str | None = None
    bundle: str | None = None


def pseudo_label(request: Request, config: Config) -> int:
    """Label every image of a folder, or go on where an earlier run stopped, and say how many were found.

    Returns
    -------
    int
        0; 1 when nothing was found on any image.

    Raises
    ------
    ConfigError
        USAGE: neither task nor prompt, or a task with several targets.
    DatasetError
        No images; ``request.out`` holds labels of another run (RUN-MISMATCH).
    ModelError, PromptError
        As the method does.
    """
    from models.ensemble.pseudo_set import begin, label, source_images

    task = None if request.task is None else config.task(request.task)
    prompts, seed = _question(request, task)
    preset, mode = chosen_preset(request.method, request.mode, task)
    method = load_method(request.bundle, config).using(preset, mode, task.settings if task else {})
    images = {path.stem: path for path in source_images(request.images)}
    record = _record(method, prompts, seed)
    rows = begin(request.out, record, request.images / "groups.csv")
    missing = {name: path for name, path in images.items() if name not in rows}
    labelled = label(request.out, missing, method, prompts, seed)
    console = Console(stderr=True)
    for row in track(labelled, description="pseudo-labels", total=len(missing), console=console):
        rows[row.name] = row
    Console().print(_summary([rows[name] for name in images]))
    Console().print(f"labels: {request.out}; look at them before you train on them")
    return DONE if any(rows[name].code is None for name in images) else NOTHING_FOUND


def _question(request: Request, task: Task | None) -> tuple[tuple[str, ...], int]:
    if request.prompt is not None:
        return (request.prompt,), 0
    if task is None:
        raise ConfigError(Code.USAGE, "say what to label: --task or --prompt")
    return only_target(task, "an image gets one label; name one with --prompt").prompts, task.seed


def _record(method: "Method", prompts: tuple[str, ...], seed: int) -> dict[str, Any]:
    bundle = method.bundle
    return {
        "bundle": bundle.name,
        "bundle_version": bundle.version,
        "bundle_digest": bundle.digest,
        "prompts": list(prompts),
        "seed": seed,
        "settings": method.settings.record(),
    }


def _summary(rows: "Sequence[Row]") -> Table:
    """Return how many labels there are at each confidence, so that a threshold can be chosen."""
    table = Table(title="pseudo-labels by confidence")
    table.add_column("confidence")
    table.add_column("found", justify="right")
    table.add_column("nothing found", justify="right")
    steps = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01)
    for low, high in itertools.pairwise(steps):
        inside = [row for row in rows if low <= row.confidence < high]
        found = sum(row.code is None for row in inside)
        table.add_row(f"{low:.1f} to {min(high, 1.0):.1f}", str(found), str(len(inside) - found))
    return table
