"""Evaluation of a data set: one row per image, whatever happens to the image."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.errors import Code, TextsegError
from models.evaluation.answer import Answer, Status, ask, refused
from models.evaluation.dataset import Dataset, Item, read_image, read_mask
from models.evaluation.metrics import TOLERANCE_PX, Mask, dice, score

if TYPE_CHECKING:
    from torch import Tensor

    from models.method import Method

Prompts = tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One image of the report; the fields are the report's keys."""

    name: str
    status: Status
    code: Code | None
    dsc: float | None
    nsd: float | None
    iou: float | None
    auc: float | None
    foreground_fraction: float
    uncertainty: float | None


@dataclass(frozen=True)
class StageScores:
    """DSC after each stage; None where the truth is empty."""

    map: float | None
    components: float | None
    sam: float | None


@dataclass(frozen=True)
class Scored:
    """A row and what the report says in sum: its stages, the patient, wall seconds.

    ``absent``: the truth is empty. ``reason`` says why the image was refused.
    """

    row: Row
    stages: StageScores
    patient: str
    seconds: float
    absent: bool
    reason: str | None


def evaluate(
    dataset: Dataset,
    prompts: Mapping[str, Prompts],
    method: "Method",
    base_seed: int = 0,
    tolerance: float = TOLERANCE_PX,
) -> Iterator[tuple[Scored, Mask]]:
    """Return one scored image and its mask (H, W) after the other, computed as they are asked for.

    Parameters
    ----------
    dataset
        Checked images and masks.
    prompts
        What is asked of each image, by name.
    method
        The path from image to mask.
    base_seed
        Mixed with pixels and prompts into the seed of each image.
    tolerance
        Of the contour metric, in pixels.

    Raises
    ------
    PromptError
        At once, before the first image: PROMPT-EMPTY or PROMPT-TOO-LONG.
    """
    texts = {
        asked: method.text(asked) for asked in dict.fromkeys(prompts[item.name] for item in dataset.items)
    }
    return (
        _score(item, prompts[item.name], texts[prompts[item.name]], method, base_seed, tolerance)
        for item in dataset.items
    )


def _score(
    item: Item, asked: Prompts, text: "Tensor", method: "Method", base_seed: int, tolerance: float
) -> tuple[Scored, Mask]:
    from models.method import image_seed

    truth = read_mask(item.mask)
    started = time.perf_counter()
    reason = None
    try:
        image = read_image(item.image)
        answer = ask(method, image, text, image_seed(image, asked, base_seed))
    except TextsegError as error:
        height, width = truth.shape
        answer, reason = refused((height, width), error.code), error.message
    seconds = time.perf_counter() - started
    scored = Scored(
        row=_row(item.name, truth, answer, tolerance),
        stages=_stages(truth, answer),
        patient=item.patient,
        seconds=seconds,
        absent=not truth.any(),
        reason=reason,
    )
    return scored, answer.mask


def _row(name: str, truth: Mask, answer: Answer, tolerance: float) -> Row:
    scores = score(truth, answer.mask, answer.soft, tolerance)
    return Row(
        name=name,
        status=answer.status,
        code=answer.code,
        dsc=scores.dsc,
        nsd=scores.nsd,
        iou=scores.iou,
        auc=scores.auc,
        foreground_fraction=scores.foreground_fraction,
        uncertainty=answer.uncertainty,
    )


def _stages(truth: Mask, answer: Answer) -> StageScores:
    if not truth.any():
        return StageScores(None, None, None)
    stages = answer.stages
    return StageScores(dice(truth, stages.map), dice(truth, stages.components), dice(truth, stages.sam))


def statuses(scored: Sequence[Scored]) -> dict[Status, int]:
    """Return how many images were found, nothing was found in, and were refused."""
    counts: dict[Status, int] = {"found": 0, "nothing-found": 0, "refused": 0}
    for image in scored:
        counts[image.row.status] += 1
    return counts
