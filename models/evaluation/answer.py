"""What the method answers about one image and one prompt, with the masks of the stages on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from models.contracts import Image
from models.errors import Code
from models.evaluation.metrics import Map, Mask
from models.masks.coarse import BINARISE
from models.uncertainty import THRESHOLD

if TYPE_CHECKING:
    from torch import Tensor

    from models.method import Method
    from models.stages import Coarse

Status = Literal["found", "nothing-found", "refused"]
Stage = Literal["map", "components", "sam"]


@dataclass(frozen=True)
class Stages:
    """The mask after each stage, (H, W) bool: map, its components, the segmenter's vote.

    ``map`` is the mean saliency map, binarised as the settings say, ``components`` the pixels in the kept
    components of most members, ``sam`` the final mask.
    """

    map: Mask
    components: Mask
    sam: Mask


@dataclass(frozen=True)
class Answer:
    """The method's answer: ``soft`` (H, W) float32 is the mean saliency map, constant where there is none.

    ``uncertainty`` is the mean entropy over the mask in bits, None where nothing was found. ``entropy``
    (H, W) float32 in bits and ``member``, the segmenter's mask (H, W) bool for the first member alone, are
    what the vote was made from; None where there was no vote. ``probability`` (H, W) float32 is the mean over
    the members, 0 where nothing was found, None where nobody says how likely a pixel is.
    """

    status: Status
    code: Code | None
    stages: Stages
    soft: Map
    uncertainty: float | None
    entropy: Map | None = None
    member: Mask | None = None
    probability: Map | None = None

    @property
    def mask(self) -> Mask:
        """The final mask (H, W) bool."""
        return self.stages.sam


def ask(method: "Method", image: Image, text: "Tensor", seed: int, prompts: Sequence[str] = ()) -> Answer:
    """Run the method on one image.

    Parameters
    ----------
    method
        The path from image to mask.
    image
        (H, W, 3) uint8, ready for display.
    text
        (D,) the unit text embedding of what is asked.
    seed
        Seed of everything random.
    prompts
        The wordings behind ``text``: an ensemble that was trained for them votes in the members' place.

    Raises
    ------
    TextsegError
        Whatever the method refuses the image for.
    """
    saliency = method.saliency(image, text, seed)
    coarse = method.coarse(image, saliency)
    members = method.refine(image, coarse, seed)
    ensemble = method.ensemble_for(prompts)
    vote = method.vote(members) if ensemble is None else method.vote_by(ensemble, [image], [members])[0]
    nothing = np.zeros(image.shape[:2], dtype=np.bool_)
    soft = saliency.on_pixels(None) if len(saliency.maps) else nothing.astype(np.float32)
    found = vote.status is None
    return Answer(
        status="found" if found else "nothing-found",
        code=vote.status,
        stages=Stages(
            map=_binarised(method, image, soft) if saliency.status is None else nothing,
            components=_components(coarse, nothing.shape),
            sam=vote.mask if found else nothing,
        ),
        soft=soft,
        uncertainty=float(vote.entropy[vote.mask].mean()) if found else None,
        entropy=vote.entropy if found else None,
        member=members.probability[0] > THRESHOLD if found else None,
        probability=vote.probability,
    )


def ask_until(method: "Method", image: Image, text: "Tensor", seed: int, stage: Stage) -> Answer:
    """Run the method up to a stage and answer with the mask of that stage: what an ablation compares.

    Before ``sam`` the segmenter is not asked, and there is no uncertainty. Raises what :func:`ask` raises.
    """
    if stage == "sam":
        return ask(method, image, text, seed)
    saliency = method.saliency(image, text, seed)
    nothing = np.zeros(image.shape[:2], dtype=np.bool_)
    if saliency.status is not None:
        return Answer(
            "nothing-found",
            saliency.status,
            Stages(nothing, nothing, nothing),
            nothing.astype(np.float32),
            None,
        )
    soft = saliency.on_pixels(None)
    coarse = method.coarse(image, saliency)
    stages = Stages(_binarised(method, image, soft), _components(coarse, nothing.shape), nothing)
    mask = stages.map if stage == "map" else stages.components
    code = None if mask.any() else Code.NO_COMPONENT
    return Answer("nothing-found" if code else "found", code, replace(stages, sam=mask), soft, None)


def refused(shape: tuple[int, int], code: Code) -> Answer:
    """Return the answer for an image of (height, width) that was not used: empty mask, constant map."""
    nothing = np.zeros(shape, dtype=np.bool_)
    return Answer("refused", code, Stages(nothing, nothing, nothing), nothing.astype(np.float32), None)


def _binarised(method: "Method", image: Image, soft: Map) -> Mask:
    masks = method.settings.masks
    return BINARISE[masks.binarise](soft, image, masks)


def _components(coarse: "Coarse", shape: Sequence[int]) -> Mask:
    members = [
        np.logical_or.reduce([component.mask for component in kept])
        for kept in coarse.components
        if len(kept)
    ]
    if not members:
        return np.zeros(shape, dtype=np.bool_)
    mask: Mask = np.sum(members, axis=0) * 2 > len(coarse.components)
    return mask
