"""What ``textseg evaluate`` is asked: its options, those that mean nothing together, what they refer to."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.method_choice import only_target
from models.errors import Code, ConfigError
from models.evaluation.dataset import Dataset
from models.evaluation.layouts.known import open_layout
from models.evaluation.run import Prompts
from operators.task import Task

if TYPE_CHECKING:
    from models.labelled import Labelled


@dataclass(frozen=True)
class Request:
    """The command line of ``textseg evaluate``; None where an option was not given."""

    dataset: Path | None = None
    layout: str = "textseg"
    task: str | None = None
    prompt: str | None = None
    prompt_task: str | None = None
    kind: str = "P0"
    method: str | None = None
    mode: str | None = None
    bundle: str | None = None
    ensemble: bool | None = None
    baseline: str | None = None
    support: Path | None = None
    shots: int = 0
    weights: Path | None = None
    command: str | None = None
    nsd_slab: bool = False
    ablation: str | None = None
    suite: Path | None = None
    work: Path | None = None
    roles: tuple[str, ...] = ()
    save_masks: Path | None = None
    report: Path | None = None
    html: Path | None = None
    as_json: bool = False


def refuse_contradictions(request: Request) -> None:
    """Refuse options that mean nothing together. Raises ConfigError (USAGE)."""
    tables = [name for name in ("ablation", "suite") if getattr(request, name) is not None]
    if (request.dataset is None) == (request.suite is None):
        raise ConfigError(Code.USAGE, "give either one data set or --suite with several")
    if tables and (request.baseline or request.save_masks or request.nsd_slab or len(tables) > 1):
        raise ConfigError(
            Code.USAGE, f"--{tables[0]} runs its own rows: no baseline, masks, slab or other table"
        )
    if not tables and (request.roles or request.work):
        raise ConfigError(Code.USAGE, "--with and --work belong to --ablation and --suite")
    if request.ensemble and (tables or request.baseline):
        raise ConfigError(
            Code.USAGE, "--ensemble on belongs to the method, not to baselines, --ablation or --suite"
        )
    few = request.support is not None or request.shots > 0
    if few and request.baseline is None and request.ablation is None:
        raise ConfigError(Code.USAGE, "--support and --shots belong to a --baseline that learns from images")


def choose_prompts(dataset: Dataset, request: Request, task: Task | None) -> dict[str, Prompts]:
    """Return what is asked of each image, by name.

    --prompt, else the set of --prompt-task, else prompts.csv, else the task's prompts.

    Raises
    ------
    ConfigError
        USAGE when none of them says what to ask, or the task asks for several structures at once.
    """
    if request.prompt is not None:
        return {item.name: (request.prompt,) for item in dataset.items}
    if request.prompt_task is not None:
        from models.evaluation.variant import prompts_of

        return prompts_of(dataset, request.prompt_task, request.kind)
    if dataset.has_prompts:
        return {item.name: item.prompts for item in dataset.items}
    if task is None:
        raise ConfigError(
            Code.USAGE,
            "nothing is asked: give --prompt, --prompt-task or --task, or put a prompts.csv into "
            f"{dataset.folder}",
        )
    target = only_target(task, "a data set has one mask per image; name one with --prompt")
    return {item.name: target.prompts for item in dataset.items}


def support_of(folder: Path | None, layout: str, dataset: Dataset) -> tuple["Labelled", ...]:
    """Return the labelled images of a support set; none where no folder is given.

    Raises
    ------
    DatasetError
        DATASET-INVALID: an image or a patient of the support set is also evaluated.
    """
    if folder is None:
        return ()
    from models.labelled import identities, read_labelled, refuse_overlap

    found = read_labelled(open_layout(layout, folder).items)
    refuse_overlap(found, identities(dataset.items))
    return found
