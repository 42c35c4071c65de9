"""Pseudo-labels: what the method finds, and how far it may be believed (MedCLIP-SAMv2, section 3.3).

No truth is read here. ``confidence`` lets a threshold leave bad labels out before anything learns from them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.contracts import Image
from models.errors import Code
from models.evaluation.metrics import dice
from models.stages import Members, Saliency, Vote
from models.uncertainty import THRESHOLD

if TYPE_CHECKING:
    from models.method import Method

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PseudoLabel:
    """One image's label.

    ``mask`` (H, W), all False where nothing was found; ``code`` says why. ``confidence`` in [0, 1], see
    :func:`confidence`; ``uncertainty`` is the mean entropy over the mask in bits, None without a mask.
    """

    name: str
    mask: Mask
    code: Code | None
    confidence: float
    uncertainty: float | None


def pseudo_labels(
    images: Iterable[tuple[str, Image]], method: "Method", prompts: Sequence[str], base_seed: int = 0
) -> Iterator[PseudoLabel]:
    """Yield the label of every image (H, W, 3) uint8 for one prompt, computed as they are asked for.

    Raises PromptError at the first image when a prompt is empty or too long; ModelError as the method does.
    """
    from models.method import image_seed

    text = method.text(prompts)
    for name, image in images:
        seed = image_seed(image, prompts, base_seed)
        saliency = method.saliency(image, text, seed)
        members = method.refine(image, method.coarse(image, saliency), seed)
        vote = method.vote(members)
        found = vote.status is None
        mask = vote.mask if found else np.zeros(image.shape[:2], np.bool_)
        uncertainty = float(vote.entropy[mask].mean()) if found else None
        yield PseudoLabel(name, mask, vote.status, confidence(saliency, members, vote), uncertainty)


def confidence(saliency: Saliency, members: Members, vote: Vote) -> float:
    """Return in [0, 1] how far a label may be believed.

    Of a mask: the mean DSC of each member with the vote, times the mean probability inside it, times the
    relevance where the encoder is calibrated. Of an absent target: one minus the relevance. Where the target
    was relevant and a later stage still found nothing, the empty label is not believed at all: 0.
    """
    if vote.status is Code.TARGET_ABSENT and saliency.relevance is not None:
        return 1.0 - saliency.relevance
    if vote.status is not None:
        return 0.0
    agreement = float(np.mean([dice(vote.mask, one > THRESHOLD) or 0.0 for one in members.probability]))
    inside = float(vote.probability[vote.mask].mean())
    return agreement * inside * (1.0 if saliency.relevance is None else saliency.relevance)
