"""Evaluation of a data set: one row per image, whatever happens to the image."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.contracts import Image
from models.errors import Code, ConfigError, TextsegError
from models.evaluation.answer import Answer, Status, ask, refused
from models.evaluation.calibration import Calibration, calibration
from models.evaluation.dataset import Dataset, Item
from models.evaluation.metrics import TOLERANCE_PX, Mask, dice, score, surface_dice_of_slab

if TYPE_CHECKING:
    from torch import Tensor

    from models.method import Method

Prompts = tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """One image as it is asked about.

    ``image`` (H, W, 3) uint8, ``prompts`` the wordings of one thing, ``text`` (D,) their unit
    embedding, ``seed`` of everything random,
    ``truth`` (H, W) for those baselines that declare to use it and for nobody else.
    """

    name: str
    image: Image
    prompts: Prompts
    text: "Tensor"
    seed: int
    truth: Mask


FOR_EVERY_IMAGE = frozenset({Code.PROMPT_KIND_UNSUPPORTED, Code.MODEL_MISSING})
"""Codes that say nothing about the image at hand: no other image would fare better."""

Asking = Callable[["Method", Asked], Answer]
"""What is scored: the method itself, one of its stages, or a baseline."""


def ask_method(method: "Method", asked: Asked) -> Answer:
    """Return the whole method's answer."""
    return ask(method, asked.image, asked.text, asked.seed, asked.prompts)


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

    ``absent``: the truth is empty. ``reason`` says why the image was refused. ``nsd_slab`` is the papers'
    own NSD, None unless it was asked for or where the truth is empty. ``calibration`` is None where no
    probabilities are known, and where there is no target and nothing was found.
    """

    row: Row
    stages: StageScores
    patient: str
    seconds: float
    absent: bool
    reason: str | None
    nsd_slab: float | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True)
class Scoring:
    """How answers are scored: the contour metric's ``tolerance`` in pixels; ``slab``: the papers' NSD too."""

    tolerance: float = TOLERANCE_PX
    slab: bool = False


def evaluate(
    dataset: Dataset,
    prompts: Mapping[str, Prompts],
    method: "Method",
    base_seed: int = 0,
    scoring: Scoring | None = None,
    asking: Asking = ask_method,
) -> Iterator[tuple[Scored, Answer]]:
    """Return one scored image and its answer after the other, computed as they are asked for.

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
    scoring
        The metrics' tolerance; the papers' 2 pixels by default.
    asking
        What answers; the whole method by default.

    Raises
    ------
    PromptError
        At once, before the first image: PROMPT-EMPTY or PROMPT-TOO-LONG.
    """
    texts = {
        asked: method.text(asked) for asked in dict.fromkeys(prompts[item.name] for item in dataset.items)
    }
    chosen = scoring or Scoring()
    return (
        _score(item, prompts[item.name], texts[prompts[item.name]], method, asking, base_seed, chosen)
        for item in dataset.items
    )


def _score(
    item: Item,
    prompts: Prompts,
    text: "Tensor",
    method: "Method",
    asking: Asking,
    base_seed: int,
    scoring: Scoring,
) -> tuple[Scored, Answer]:
    from models.method import image_seed

    truth = item.truth()
    started = time.perf_counter()
    reason = None
    try:
        image = item.pixels()
        asked = Asked(item.name, image, prompts, text, image_seed(image, prompts, base_seed), truth)
        answer = asking(method, asked)
    except TextsegError as error:
        if isinstance(error, ConfigError) or error.code in FOR_EVERY_IMAGE:
            raise  # wrong for every image alike: there is nothing to score
        height, width = truth.shape
        answer, reason = refused((height, width), error.code), error.message
    seconds = time.perf_counter() - started
    scored = Scored(
        row=_row(item.name, truth, answer, scoring.tolerance),
        stages=_stages(truth, answer),
        patient=item.patient,
        seconds=seconds,
        absent=not truth.any(),
        reason=reason,
        nsd_slab=surface_dice_of_slab(truth, answer.mask, scoring.tolerance) if scoring.slab else None,
        calibration=_calibration(truth, answer),
    )
    return scored, answer


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


def _calibration(truth: Mask, answer: Answer) -> Calibration | None:
    return None if answer.probability is None else calibration(truth, answer.mask, answer.probability)


def statuses(scored: Sequence[Scored]) -> dict[Status, int]:
    """Return how many images were found, nothing was found in, and were refused."""
    counts: dict[Status, int] = {"found": 0, "nothing-found": 0, "refused": 0}
    for image in scored:
        counts[image.row.status] += 1
    return counts
