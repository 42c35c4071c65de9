"""A baseline in the method's place: the same images, seeds and scores, no label that it does not declare."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.baselines.contract import Baseline, Context, ask
from models.errors import Code
from models.evaluation.answer import Answer, Stages, refused
from models.evaluation.metrics import Map
from models.evaluation.run import Asked
from models.labelled import Labelled

if TYPE_CHECKING:
    from models.method import Method


@dataclass(frozen=True, eq=False)
class AskBaseline:
    """Answers with a baseline's mask; ``support`` are labelled images for one that learns from them.

    The soft map is the mask itself, so that the AUC is the balanced accuracy. There are no stages before the
    mask and no uncertainty.
    """

    baseline: Baseline
    support: tuple[Labelled, ...] = ()

    def __call__(self, method: "Method", asked: Asked) -> Answer:
        """Return the answer. Raises what :meth:`Baseline.segment` raises."""
        context = Context(
            segmenter=method.bundle.segmenter,
            encoder=method.encoder,
            text=asked.text,
            saliency=lambda: _saliency(method, asked),
            truth=asked.truth,
            support=self.support,
            seed=asked.seed,
        )
        mask = ask(self.baseline, asked.image, context)
        if isinstance(mask, Code):
            height, width = asked.image.shape[:2]
            nothing = refused((height, width), mask)
            return Answer("nothing-found", mask, nothing.stages, nothing.soft, None)
        return Answer("found", None, Stages(mask, mask, mask), mask.astype(np.float32), None)


def _saliency(method: "Method", asked: Asked) -> Map | Code:
    saliency = method.saliency(asked.image, asked.text, asked.seed)
    return saliency.on_pixels() if saliency.status is None else saliency.status
