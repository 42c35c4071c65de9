"""A training so small that it takes seconds: bright discs on grey, images of 32 pixels, six epochs."""

import numpy as np

from models.ensemble.plan import Size
from models.ensemble.recipe import Recipe
from models.ensemble.schedule import Cycles
from models.labelled import Labelled

SIZE = Size(32, (4, 8, 8), 2)
RECIPE = Recipe(Cycles(6, 3, 1), iterations=2, validation_iterations=1)


def disc(name: str, seed: int, side: int = 40, patient: str | None = None) -> Labelled:
    """Return an image with one bright disc and its mask."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    row, column = rng.integers(12, side - 12, 2)
    mask = (y - row) ** 2 + (x - column) ** 2 < rng.integers(5, 9) ** 2
    grey = np.clip(60 + 120 * mask + rng.normal(0, 10, mask.shape), 1, 255).astype(np.uint8)
    return Labelled(name, np.repeat(grey[:, :, None], 3, axis=2), mask, patient)


def discs(count: int = 12) -> list[Labelled]:
    """Return several of them, each a patient of its own."""
    return [disc(f"disc_{number:02}", number) for number in range(count)]
