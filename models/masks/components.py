"""Connected components of a coarse mask, their confidence, and the box that each becomes (Eq. 18 and 19)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.placement import Box

EIGHT = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Component:
    """One connected region: its pixels (H, W), the tight box around them and the mean saliency inside."""

    mask: npt.NDArray[np.bool_]
    box: Box
    confidence: float

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.mask.sum())

    def agreement(self, mask: npt.NDArray[np.bool_]) -> float:
        """Return the DSC of the component with a mask (H, W)."""
        return 2.0 * float((mask & self.mask).sum()) / max(1, int(mask.sum()) + self.area)


def components(mask: npt.NDArray[np.bool_], saliency: npt.NDArray[np.float32]) -> tuple[Component, ...]:
    """Split a mask (H, W) into 8-connected components, largest first, ties by first pixel in reading order.

    ``confidence`` is the mean of ``saliency`` (H, W) over the component.
    """
    labelled, _ = ndimage.label(mask, structure=EIGHT)
    found = []
    for label, window in enumerate(ndimage.find_objects(labelled), start=1):
        rows, columns = window
        own = labelled == label
        box = (float(columns.start), float(rows.start), float(columns.stop), float(rows.stop))
        found.append(Component(own, box, float(saliency[own].mean())))
    return tuple(sorted(found, key=lambda component: -component.area))


def select(found: tuple[Component, ...], confidence: float, area: float, limit: int) -> tuple[Component, ...]:
    """Keep components by confidence and area relative to the best, then the ``limit`` largest.

    A component stays with at least ``confidence`` times the best confidence and at least ``area`` times the
    largest area: relative, because the papers give no value for their threshold eta_c.
    """
    if not found:
        return ()
    best = max(component.confidence for component in found)
    widest = max(component.area for component in found)
    kept = [c for c in found if c.confidence >= confidence * best and c.area >= area * widest]
    return tuple(kept[:limit])


def confident(found: tuple[Component, ...], eta: float) -> tuple[Component, ...]:
    """Keep components with a confidence above ``eta`` (the paper's rule, Eq. 19; it names no value)."""
    return tuple(component for component in found if component.confidence > eta)


def largest(found: tuple[Component, ...], count: int) -> tuple[Component, ...]:
    """Keep exactly the ``count`` largest components, or all if there are fewer; ties by their order.

    The released code keeps every component whose area is among the ``count`` largest areas.
    """
    return tuple(sorted(found, key=lambda component: -component.area)[: max(0, count)])


def widen(box: Box, margin: float, shift: tuple[float, float], size: tuple[int, int]) -> Box:
    """Move a box by ``shift`` and push each side out by ``margin``, clipped to the image.

    Both are fractions of the box's sides; ``size`` is (height, width) in pixels.
    """
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    dx, dy = shift[0] * width, shift[1] * height
    return (
        max(0.0, x0 - margin * width + dx),
        max(0.0, y0 - margin * height + dy),
        min(float(size[1]), x1 + margin * width + dx),
        min(float(size[0]), y1 + margin * height + dy),
    )
