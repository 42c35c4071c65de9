"""The part of an ultrasound picture that shows a body: what is printed around it is not searched.

SequenceOfUltrasoundRegions (PS3.3 C.8.5.5) says where the scanner put images, traces, colour bars and text.
The method sees the rectangle around the two-dimensional images, everything in it that is none of them black,
and its answer is put back where that rectangle was.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from models.contracts import Image
from operators import header as tags
from operators.slices import Slice

_IMAGE, _TRACES = 1, frozenset({2, 3, 4})
"""RegionSpatialFormat: two-dimensional image; M-mode, spectral, waveform. 0 is none, 5 graphics."""
_SLACK = 2
"""Pixels by which a region may reach over the edge of the picture: some scanners count from 1."""
_CENTIMETRES = 3

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rectangle:
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right`` of a picture, the last ones excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def box(self) -> tuple[slice, slice]:
        """Index of the rectangle in a (rows, columns) array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def holds(self, other: "Rectangle") -> bool:
        """Tell whether another rectangle lies in this one."""
        rows = self.top <= other.top and other.bottom <= self.bottom
        return rows and self.left <= other.left and other.right <= self.right

    def __str__(self) -> str:
        return f"rows {self.top + 1} to {self.bottom}, columns {self.left + 1} to {self.right}"


@dataclass(frozen=True, eq=False)
class SearchArea:
    """What of a picture is searched: ``inside`` (h, w) within ``frame``; ``rule`` says so in words."""

    frame: Rectangle
    inside: Mask = field(repr=False)
    rule: str

    def cut(self, image: Image) -> Image:
        """Return the searched part of a picture (rows, columns, 3), black where it is not searched."""
        return np.where(self.inside[:, :, None], image[self.frame.box], np.uint8(0))


def search_area(plane: Slice) -> SearchArea | None:
    """Return what is searched of a picture, None when its header does not tell.

    Two-dimensional images are searched; traces only where there is no image. Colour bars and the like that
    lie on an image are left out. Regions that lie outside of the picture (it was scaled after they were
    written) are of no use: all of it is searched then, and the rule says so.
    """
    items = tags.items(plane.instance.header, "SequenceOfUltrasoundRegions")
    if not items:
        return None
    rows, columns = plane.instance.rows, plane.instance.columns
    regions = [(tags.number(item, "RegionSpatialFormat"), _rectangle(item, rows, columns)) for item in items]
    kinds = [kind for kind, _ in regions]
    wanted = {_IMAGE} if _IMAGE in kinds else _TRACES
    searched = [place for kind, place in regions if kind in wanted]
    places = [place for place in searched if place is not None]
    if not places or len(places) < len(searched):
        whole = Rectangle(0, 0, rows, columns)
        rule = "all of the picture searched: its ultrasound regions do not fit it"
        return SearchArea(whole, np.ones((rows, columns), dtype=np.bool_), rule)
    inside = np.zeros((rows, columns), dtype=np.bool_)
    for place in places:
        inside[place.box] = True
    for kind, other in regions:
        if kind not in wanted and other is not None and not any(other.holds(place) for place in places):
            inside[other.box] = False
    frame = Rectangle(
        min(place.top for place in places),
        min(place.left for place in places),
        max(place.bottom for place in places),
        max(place.right for place in places),
    )
    where = "; ".join(str(place) for place in places)
    rule = f"searched: {len(places)} of {len(items)} ultrasound regions ({where})"
    return SearchArea(frame, inside[frame.box], rule)


def searched_spacing(plane: Slice) -> tuple[float, float] | None:
    """Return row and column spacing in mm of the searched regions, where they are calibrated and agree.

    PhysicalDeltaX and PhysicalDeltaY are centimetres for PhysicalUnits 3 (PS3.3 C.8.5.5.1.15).
    """
    spacings = set()
    for item in tags.items(plane.instance.header, "SequenceOfUltrasoundRegions"):
        if tags.number(item, "RegionSpatialFormat") != _IMAGE:
            continue
        if _rectangle(item, plane.instance.rows, plane.instance.columns) is None:
            return None
        units = {tags.number(item, f"PhysicalUnits{axis}Direction") for axis in "XY"}
        deltas = [abs(tags.number(item, f"PhysicalDelta{axis}") or 0.0) for axis in "YX"]
        if units != {_CENTIMETRES} or min(deltas) <= 0:
            return None
        spacings.add((round(10 * deltas[0], 6), round(10 * deltas[1], 6)))
    return spacings.pop() if len(spacings) == 1 else None


def _rectangle(item: Dataset, rows: int, columns: int) -> Rectangle | None:
    """Return a region within the picture, None when it has no place there. Its last row and column count."""
    names = [f"RegionLocation{end}" for end in ("MinY0", "MinX0", "MaxY1", "MaxX1")]
    found = [tags.number(item, name) for name in names]
    top, left, bottom, right = (-1 if number is None else int(number) for number in found)
    inside = 0 <= top < rows and 0 <= left < columns
    fits = inside and top < bottom < rows + _SLACK and left < right < columns + _SLACK
    return Rectangle(top, left, min(bottom + 1, rows), min(right + 1, columns)) if fits else None
