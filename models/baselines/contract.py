"""What a baseline owes the evaluation, and what it may know about the image that it segments."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from torch import Tensor

from models.contracts import DualEncoder, Image, PromptableSegmenter
from models.errors import Code, ConfigError
from models.evaluation.metrics import Map, Mask
from models.labelled import Labelled

Labels = Literal["none", "support", "truth"]
"""Whose labels a baseline sees: nobody's, those of a support set, or the evaluated image's own."""


@dataclass(frozen=True, eq=False)
class Context:
    """Everything a baseline may use besides the image.

    Attributes
    ----------
    segmenter, encoder
        The models of the bundle.
    text
        (D,) the unit embedding of what is asked for.
    saliency
        Computes the saliency map (H, W) float32 in [0, 1], or the code why there is none; called only by
        baselines that start from it.
    truth
        (H, W) bool, given only to a baseline whose ``labels`` is ``truth``.
    support
        Labelled images for a baseline whose ``labels`` is ``support``, the same object for every image.
    seed
        Seed of the image: everything random follows from it.
    """

    segmenter: PromptableSegmenter
    encoder: DualEncoder
    text: Tensor
    saliency: Callable[[], Map | Code]
    truth: Mask | None = None
    support: tuple[Labelled, ...] = ()
    seed: int = 0


class Baseline(Protocol):
    """One way from an image to a mask that results are compared with."""

    @property
    def name(self) -> str:
        """Name in the registry and in the report."""

    @property
    def labels(self) -> Labels:
        """Whose labels it sees."""

    @property
    def uses_labels(self) -> bool:
        """Whether it sees labels at all: its results are then no zero-shot results."""

    def statement(self, segmenter: PromptableSegmenter) -> str:
        """One sentence for the report: what the segmenter is asked, and which labels were used."""

    def segment(self, image: Image, context: Context) -> Mask | Code:
        """Return the mask (H, W) of an image (H, W, 3), or the code why there is none; never a default mask.

        Raises ConfigError (USAGE) where the context lacks what the baseline needs, ModelError where a model
        does not answer such questions.
        """


def ask(baseline: Baseline, image: Image, context: Context) -> Mask | Code:
    """Ask a baseline for a mask, showing it no label that it does not declare.

    Raises what :meth:`Baseline.segment` raises.
    """
    shown = replace(
        context,
        truth=context.truth if baseline.labels == "truth" else None,
        support=context.support if baseline.labels == "support" else (),
    )
    return baseline.segment(image, shown)


def needed_truth(context: Context, name: str) -> Mask:
    """Return the truth of the image. Raises ConfigError (USAGE) where the context has none."""
    if context.truth is None:
        raise ConfigError(Code.USAGE, f"{name} needs the truth of each image; evaluate a labelled data set")
    return context.truth


def needed_support(context: Context, name: str) -> tuple[Labelled, ...]:
    """Return the support set. Raises ConfigError (USAGE) where it is empty."""
    if not context.support:
        raise ConfigError(
            Code.USAGE, f"{name} learns from labelled images; give a support set of other images"
        )
    return context.support


def found(mask: Mask) -> Mask | Code:
    """Return a mask, or NO-MASK where no pixel is in it."""
    return mask if mask.any() else Code.NO_MASK
