"""Training and held-out pairs, by patient."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.errors import Code, DatasetError
from models.finetune.captions import Pair


@dataclass(frozen=True)
class Split:
    """Pairs to train with and pairs held out; no patient is in both."""

    train: tuple[Pair, ...]
    held_out: tuple[Pair, ...]


def split(pairs: Sequence[Pair], share: float, seed: int) -> Split:
    """Hold out whole patients, drawn with ``seed``, until they have ``share`` of the pairs.

    The paper holds out 15 % of the pairs, whosever they are. Raises DatasetError (DATASET-INVALID) when
    either side gets fewer than two pairs.
    """
    own: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        own[pair.patient].append(pair)
    names = sorted(own)
    chosen: set[str] = set()
    count = 0
    for index in np.random.default_rng(seed).permutation(len(names)):
        if count >= round(share * len(pairs)):
            break
        chosen.add(names[index])
        count += len(own[names[index]])
    train = tuple(pair for pair in pairs if pair.patient not in chosen)
    held_out = tuple(pair for pair in pairs if pair.patient in chosen)
    if min(len(train), len(held_out)) < 2:
        raise DatasetError(
            Code.DATASET_INVALID,
            f"{len(pairs)} pairs of {len(names)} patients leave {len(train)} to train with and "
            f"{len(held_out)} held out; both need at least 2",
        )
    return Split(train, held_out)
