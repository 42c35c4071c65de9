"""Which regions are the ones that the text names, and whether that choice can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import Code
from models.salip.regions import overlap
from models.segmenters.everything import Region


@dataclass(frozen=True)
class Choice:
    """The indices of the chosen regions, best first, or the code why there are none.

    ``margin`` is how far the worst chosen region scores above the best other distinct one, in units of the
    score; None where there is no other.
    """

    chosen: tuple[int, ...]
    margin: float | None = None
    code: Code | None = None


def ranked(scores: npt.NDArray[np.float32]) -> tuple[int, ...]:
    """Return the indices of scores (N,) from the highest to the lowest, ties by index."""
    return tuple(int(index) for index in np.argsort(-scores, kind="stable"))


def distinct(
    regions: Sequence[Region], order: Sequence[int], duplicate: float, count: int
) -> tuple[int, ...]:
    """Walk through regions in ``order``, passing over those that repeat one already taken.

    Two regions are one where their intersection over union is above ``duplicate``. Stops at ``count``.
    """
    taken: list[int] = []
    for index in order:
        if len(taken) == count:
            break
        if all(overlap(regions[index].mask, regions[other].mask) <= duplicate for other in taken):
            taken.append(index)
    return tuple(taken)


def choose(
    regions: Sequence[Region],
    scores: npt.NDArray[np.float32],
    k: int,
    *,
    duplicate: float,
    margin: float,
    similarity: float,
) -> Choice:
    """Choose the k distinct regions of highest score (SaLIP, Eq. 4), or say why not.

    The paper's two failures end as codes here and are never passed on to SAM: NO-REGION where SAM proposed
    fewer than k regions, or fewer than k that score ``similarity``; REGIONS-ALIKE where k regions cannot be
    found without taking one twice. MARGIN-LOW says that the worst chosen region is not ``margin`` above the
    next distinct one, so that the choice between the two is chance.

    Parameters
    ----------
    regions
        N regions after the area filter.
    scores
        (N,) cosine times 100.
    k
        How many regions the target has: 1 for a brain, 2 for lungs.
    duplicate, margin, similarity
        See :class:`models.salip.settings.SalipSettings`.
    """
    order = [index for index in ranked(scores) if scores[index] >= similarity]
    if len(order) < k:
        return Choice((), None, Code.NO_REGION)
    # What is left out because it is not similar enough still competes with what is chosen.
    best = distinct(regions, ranked(scores), duplicate, k + 1)
    chosen = tuple(index for index in best[:k] if scores[index] >= similarity)
    if len(chosen) < k:
        return Choice((), None, Code.REGIONS_ALIKE)
    gap = float(scores[best[k - 1]] - scores[best[k]]) if len(best) > k else None
    if gap is not None and gap < margin:
        return Choice((), gap, Code.MARGIN_LOW)
    return Choice(chosen, gap)
