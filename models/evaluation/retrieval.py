"""Retrieval among small groups, as MedCLIP-SAMv2 judges its encoders (section 3.4.1, Table 2).

Pairs are shuffled and cut into groups of 50; inside each group every image ranks the captions by cosine and
every caption the images; top-1 and top-2 accuracy over all pairs, five times, mean and standard deviation of
the five. What the paper leaves open is settled here: a short last group is kept; ties are ranked by position
in the shuffled group, so that a constant embedding gains nothing; and where captions repeat inside the set,
the score that accepts any equal caption stands beside the strict one.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

TOP = (1, 2)

Ranks = npt.NDArray[np.intp]


@dataclass(frozen=True)
class RetrievalSettings:
    """The protocol's numbers; the paper's by default, except for the seed, which it does not name."""

    group: int = 50
    runs: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.group < 2 or self.runs < 1:
            raise ValueError(f"need groups of at least 2 and 1 run, got {self.group} and {self.runs}")


@dataclass(frozen=True)
class Accuracy:
    """Share in [0, 1] of pairs found among the first 1 and 2: mean and standard deviation over the runs."""

    top1: float
    top1_std: float
    top2: float
    top2_std: float


@dataclass(frozen=True)
class Directions:
    """Accuracy from image to text and from text to image."""

    image_to_text: Accuracy
    text_to_image: Accuracy

    @property
    def score(self) -> float:
        """Mean top-1 accuracy of both directions: one number to choose a checkpoint by."""
        return (self.image_to_text.top1 + self.text_to_image.top1) / 2.0


@dataclass(frozen=True)
class Retrieval:
    """``strict``: only the pair's own partner is right. ``tolerant``: any partner with an equal caption is.

    ``tolerant`` is None when no caption occurs twice: the two would be the same.
    """

    pairs: int
    settings: RetrievalSettings
    strict: Directions
    tolerant: Directions | None

    @property
    def score(self) -> float:
        """The tolerant score where captions repeat, else the strict one."""
        return (self.tolerant or self.strict).score


def ranks(similarity: Tensor, right: Tensor | None = None) -> Ranks:
    """Return for each row (N, N) how many columns come before the first right one: 0 is a hit.

    Columns are sorted by falling similarity, equal ones by index. ``right`` (N, N) bool marks the right
    columns of each row; the diagonal alone by default.
    """
    order = similarity.argsort(dim=1, descending=True, stable=True)
    accepted = torch.eye(len(similarity), dtype=torch.bool) if right is None else right
    return np.asarray(accepted.gather(1, order).int().argmax(1).numpy())


def groups(count: int, settings: RetrievalSettings, run: int) -> list[Tensor]:
    """Return the shuffled indices of ``count`` pairs in groups; the last may be short."""
    order = np.random.default_rng((settings.seed, run)).permutation(count)
    return list(torch.from_numpy(order).split(settings.group))


def retrieve(
    image: Tensor, text: Tensor, captions: Sequence[Hashable], settings: RetrievalSettings | None = None
) -> Retrieval:
    """Score paired rows: ``image`` and ``text`` are (N, D), ``captions`` tells which texts are equal.

    Raises ValueError when the three do not have the same length, or have fewer than two pairs.
    """
    settings = settings or RetrievalSettings()
    if image.shape != text.shape or len(captions) != len(image) or len(image) < 2:
        raise ValueError(
            f"need at least 2 pairs, got {tuple(image.shape)}, {tuple(text.shape)}, {len(captions)} captions"
        )
    image = F.normalize(image.detach().float().cpu(), dim=1)
    text = F.normalize(text.detach().float().cpu(), dim=1)
    numbers: dict[Hashable, int] = {}
    same = torch.tensor([numbers.setdefault(caption, len(numbers)) for caption in captions])
    strict = _directions(image, text, torch.arange(len(image)), settings)
    repeated = len(numbers) < len(captions)
    tolerant = _directions(image, text, same, settings) if repeated else None
    return Retrieval(len(image), settings, strict, tolerant)


def _directions(image: Tensor, text: Tensor, identity: Tensor, settings: RetrievalSettings) -> Directions:
    hits = np.zeros((2, len(TOP), settings.runs))
    for run in range(settings.runs):
        for chosen in groups(len(image), settings, run):
            similarity = image[chosen] @ text[chosen].T
            right = identity[chosen][:, None] == identity[chosen][None, :]
            for direction, values in enumerate((similarity, similarity.T)):
                found = ranks(values, right)
                hits[direction, :, run] += [int((found < top).sum()) for top in TOP]
    return Directions(*(_accuracy(of_direction / len(image)) for of_direction in hits))


def _accuracy(shares: npt.NDArray[np.float64]) -> Accuracy:
    spread = shares.std(1, ddof=1) if shares.shape[1] > 1 else np.zeros(len(TOP))
    return Accuracy(float(shares[0].mean()), float(spread[0]), float(shares[1].mean()), float(spread[1]))
