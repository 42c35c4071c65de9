"""Labelled images to learn or tune on, and the check that nothing is judged on what it was tuned on."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from models.contracts import Image
from models.errors import Code, DatasetError
from models.evaluation.dataset import Item


@dataclass(frozen=True, eq=False)
class Labelled:
    """One image (H, W, 3) uint8 with its mask (H, W) bool, and the patient where that is known.

    Raises DatasetError (DATASET-INVALID) where the mask has another size than the image.
    """

    name: str
    image: Image
    mask: npt.NDArray[np.bool_]
    patient: str | None = None

    def __post_init__(self) -> None:
        if self.image.shape[:2] != self.mask.shape:
            sizes = f"image {self.name} has {self.image.shape[:2]} pixels, its mask {self.mask.shape}"
            raise DatasetError(Code.DATASET_INVALID, f"{sizes}; make them equal")


@dataclass(frozen=True)
class Identity:
    """What makes an image the same as another: the hash of its pixels, or its patient."""

    name: str
    pixels: str
    patient: str | None = None


def read_labelled(items: Iterable[Item]) -> tuple[Labelled, ...]:
    """Read images and masks of a data set. Raises DatasetError (PIXELS-UNDECODABLE, DATASET-INVALID)."""
    return tuple(Labelled(item.name, item.pixels(), item.truth(), _patient(item)) for item in items)


def identities(items: Iterable[Item]) -> Iterator[Identity]:
    """Read the images of a data set one by one and say what each is. Raises DatasetError."""
    return (identity(item.name, item.pixels(), _patient(item)) for item in items)


def identity(name: str, image: Image, patient: str | None = None) -> Identity:
    """Say what an image (H, W, 3) is, whatever its file is called."""
    digest = hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes())
    return Identity(name, digest.hexdigest(), patient)


def refuse_overlap(learnt: Iterable[Labelled], judged: Iterable[Identity]) -> None:
    """Refuse to judge a method on what it learnt from.

    SaLIP's released search tunes on images of the very set that it then reports. Two images are the same
    where their pixels are, and they belong together where they come from one patient; names may repeat in
    different folders and say nothing.

    Raises
    ------
    DatasetError
        DATASET-INVALID, naming a pair.
    """
    known = [identity(one.name, one.image, one.patient) for one in learnt]
    pixels = {one.pixels: one.name for one in known}
    patients = {one.patient: one.name for one in known if one.patient is not None}
    for one in judged:
        other = pixels.get(one.pixels) or (patients.get(one.patient) if one.patient is not None else None)
        if other is not None:
            message = (
                f"{one.name} is to be evaluated, but {other}, which is learnt from, is the same image or of "
                "the same patient; learn from images that are not evaluated"
            )
            raise DatasetError(Code.DATASET_INVALID, message)


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def draw(labelled: Sequence[N], shots: int, seed: int) -> tuple[N, ...]:
    """Return ``shots`` members drawn without replacement, sorted by name; all where there are fewer.

    The draw depends on the names and the seed, not on the order in which the members come.
    """
    ordered = sorted(labelled, key=lambda one: one.name)
    picked = np.random.default_rng(seed).permutation(len(ordered))[:shots]
    return tuple(ordered[index] for index in sorted(picked))


def _patient(item: Item) -> str | None:
    """Return the patient; a data set without groups.csv calls each image its own, which tells nothing."""
    return item.patient if item.patient != item.name else None
