"""One embedding for several wordings of one thing."""

import torch.nn.functional as F
from torch import Tensor


def prototype(sentences: Tensor) -> Tensor:
    """Return the unit mean (D,) of the unit embeddings of several sentences (N, D).

    Each sentence is normalised first: SaLIP's released code averages embeddings of any length, so that a
    long vector counts more.
    """
    return F.normalize(F.normalize(sentences, dim=1).mean(0), dim=0)
