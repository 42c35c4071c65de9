"""Pairs on disk and a model small enough to train in milliseconds."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor, nn

from models.finetune.captions import Captions, Pair, read_captions
from models.finetune.trainable import Told, TrainableModule

COLOURS = ("red", "green", "blue")


def picture(path: Path, value: tuple[int, int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(np.full((4, 4, 3), value, np.uint8)).save(path)
    return path


def table(folder: Path, lines: Sequence[str], header: str = "image,caption") -> Path:
    path = folder / "captions.csv"
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return path


def coloured(folder: Path, count: int = 24) -> Captions:
    """Images whose colour is a mixture that their caption spells out."""
    rng = np.random.default_rng(0)
    lines = []
    for index in range(count):
        colour = rng.integers(0, 256, 3)
        picture(folder / "images" / f"{index}.png", tuple(colour.tolist()))
        said = " ".join(f"{name} {value}" for name, value in zip(COLOURS, colour, strict=True))
        lines.append(f"{index}.png,a picture with {said},p{index // 2}")
    return read_captions(table(folder, lines, "image,caption,patient"), folder / "images")


class ToyModel(TrainableModule):
    """A linear map of the mean colour, another of the numbers in the caption, and dropout between."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.image = nn.Sequential(nn.Linear(3, 16), nn.Dropout(0.1), nn.GELU(), nn.Linear(16, 8))
            self.words = nn.Sequential(nn.Linear(3, 16), nn.Dropout(0.1), nn.GELU(), nn.Linear(16, 8))
        self.prepared: list[Path] = []

    def prepare(self, images: Sequence[Path], told: Told) -> None:
        self.prepared = list(images)
        told(len(images), len(images))

    def image_rows(self, images: Sequence[Path]) -> Tensor:
        means = [np.asarray(Pillow.open(image).convert("RGB")).mean((0, 1)) / 255 - 0.5 for image in images]
        return self.image(torch.tensor(np.array(means), dtype=torch.float32))

    def text_rows(self, captions: Sequence[str]) -> Tensor:
        numbers = [[int(word) / 255 - 0.5 for word in c.split() if word.isdigit()] for c in captions]
        return self.words(torch.tensor(numbers))

    def weights(self) -> dict[str, Tensor]:
        return self.state()


class Killed(BaseException):
    """The end of the process, as far as the code under test can tell."""


def killing(step: int) -> Callable[[int, int, float], None]:
    """A listener's ear that ends everything once so many steps are done."""

    def told(done: int, total: int, loss: float) -> None:
        if done == step:
            raise Killed

    return told


def pair(name: str, patient: str) -> Pair:
    return Pair(Path(name), f"what {name} shows", patient)
