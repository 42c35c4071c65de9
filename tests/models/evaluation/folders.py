"""Small data sets on disk."""

from pathlib import Path

import numpy as np
from PIL import Image as Pillow


def square(side: int = 32, low: int = 8, high: int = 20) -> np.ndarray:
    """A bright square on black, (side, side) uint8."""
    pixels = np.zeros((side, side), dtype=np.uint8)
    pixels[low:high, low:high] = 255
    return pixels


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(pixels).save(path)
    return path


def dataset(folder: Path, names: tuple[str, ...] = ("a", "b", "c")) -> Path:
    """A data set whose masks are exactly what is bright."""
    for index, name in enumerate(names):
        save(folder / "images" / f"{name}.png", square(low=4 + index))
        save(folder / "masks" / f"{name}.png", square(low=4 + index))
    return folder
