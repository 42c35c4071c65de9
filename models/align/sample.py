"""What one image teaches the alignment head: regions with names, and concepts that it shows or does not."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.align.concepts import LESIONS, ORGANS
from models.contracts import Image

Mask = npt.NDArray[np.bool_]
ALL_CONCEPTS = frozenset(LESIONS) | frozenset(ORGANS)


@dataclass(frozen=True)
class Sample:
    """One image of the corpus. ``fold`` is 0 when the image belongs to no fold and may train every head."""

    origin: str
    name: str
    image: Image
    fold: int = 0
    regions: dict[str, Mask] = field(default_factory=dict)
    present: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    mirrors: bool = True
