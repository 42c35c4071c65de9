"""What flows between the operators while a stack is worked off, plane by plane."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from models.contracts import Image
from operators.findings import PlaneMap
from operators.regions import SearchArea
from operators.task import MapName

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class PlaneImage:
    """One plane of a stack of ``total``: (H, W, 3) uint8 image, rule of its window, a seed per target.

    ``image`` is what is searched of the plane, ``area`` where that is; None is all of it. ``maps`` are the
    quantities to keep of it beside the entropy; the ``saliency``, if it is one of them, travels with it.
    """

    index: int
    total: int
    image: Image = field(repr=False)
    window: str
    seeds: tuple[int, ...]
    area: SearchArea | None = None
    maps: tuple[MapName, ...] = ()
    saliency: PlaneMap | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Stage(Generic[T]):
    """What a stage of the method says about one plane: one result per target."""

    plane: PlaneImage
    targets: tuple[T, ...]
