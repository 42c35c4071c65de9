"""From values to the 8-bit picture that the encoders see.

One window serves a whole volume, so that a structure looks the same on every slice, and is recorded in the
result. CT is windowed before the encoder: without it the lungs vanish between air and bone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from models.contracts import Image

CT_WINDOWS: dict[str, tuple[float, float]] = {
    "soft-tissue": (40.0, 400.0),
    "lung": (-600.0, 1500.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
}
"""Centre and width in Hounsfield units, as radiologists set them."""

QUANTITATIVE = frozenset({"CT", "PT"})
"""Modalities whose values mean something in themselves: Hounsfield units, activity."""

PERCENTILES = (0.5, 99.5)
SAMPLE = 2_000_000
"""Values of which percentiles are taken, at most."""

VoiFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
"""Defined terms of VOILUTFunction, PS3.3 C.11.2.1.3."""


@dataclass(frozen=True)
class Window:
    """The range of values that is spread over 0 to 255, and the rule that chose it.

    ``sigmoid`` spreads them along the sigmoid of PS3.3 C.11.2.1.3.1 instead of a line; ``inverted`` shows
    small values bright.
    """

    low: float
    high: float
    rule: str
    sigmoid: bool = False
    inverted: bool = False


@dataclass(frozen=True)
class Voi:
    """The window that an image itself asks for: WindowCenter, WindowWidth and VOILUTFunction."""

    centre: float
    width: float
    function: VoiFunction = "LINEAR"

    @property
    def window(self) -> Window | None:
        """The window of PS3.3 C.11.2.1.2; None where it is too narrow to hold anything."""
        low, high = self.centre - self.width / 2, self.centre + self.width / 2
        if self.function == "LINEAR":
            high -= 1.0  # the standard's LINEAR counts values, LINEAR_EXACT and SIGMOID measure
        if high <= low:
            return None
        named = "" if self.function == "LINEAR" else f", {self.function}"
        rule = f"VOI window of the image, centre {self.centre:g} width {self.width:g}{named}"
        return Window(low, high, rule, self.function == "SIGMOID")


@dataclass(frozen=True)
class WindowChoice:
    """What a task asks for: a CT window by name, a centre and width for any modality, or percentiles.

    ``auto`` is soft tissue for CT, the window of the image itself for pictures that have one, and percentiles
    for everything else. A named window says nothing about other modalities than CT.
    """

    name: str = "auto"
    centre_width: tuple[float, float] | None = None
    percentiles: tuple[float, float] | None = None


AUTO = WindowChoice()
IDENTITY = Window(0.0, 255.0, "8-bit values as they are")


def choose_window(
    values: npt.NDArray[np.float32],
    modality: str,
    choice: WindowChoice = AUTO,
    own: Window | None = None,
) -> Window:
    """Choose one window for all values of a volume, or of a picture.

    Parameters
    ----------
    values
        Any shape; modality values (Hounsfield units for CT). Padding is NaN.
    modality
        DICOM Modality.
    choice
        What the task asks for.
    own
        The window that the picture itself brings; volumes bring none, because slices differ in theirs.
    """
    if choice.centre_width is not None:
        centre, width = choice.centre_width
        rule = f"window of the task, centre {centre:g} width {width:g}"
        return Window(centre - width / 2, centre + width / 2, rule)
    if choice.percentiles is not None:
        return _percentile_window(values, choice.percentiles)
    if modality == "CT":
        name = "soft-tissue" if choice.name == "auto" else choice.name
        centre, width = CT_WINDOWS[name]
        rule = f"CT {name} window, centre {centre:g} width {width:g} HU"
        return Window(centre - width / 2, centre + width / 2, rule)
    return own or _percentile_window(values, PERCENTILES)


def sample(parts: Iterable[npt.NDArray[np.float32]], size: int) -> npt.NDArray[np.float32]:
    """Return every n-th of ``size`` values that come in parts, so that at most :data:`SAMPLE` are left.

    How they are parted makes no difference: a volume need not be in memory for its percentiles.
    """
    step = max(1, -(-size // SAMPLE))
    taken, passed = [], 0
    for part in parts:
        taken.append(part.ravel()[-passed % step :: step].copy())  # a view would keep the whole part
        passed += part.size
    return np.concatenate(taken)


def _percentile_window(values: npt.NDArray[np.float32], percentiles: tuple[float, float]) -> Window:
    """Leave out what is not finite, and the lowest value: the background of MR and of collimated images."""
    taken = sample([values], values.size)
    finite = taken[np.isfinite(taken)]
    above = finite[finite > finite.min()] if finite.size else finite
    if above.size == 0:
        level = float(finite[0]) if finite.size else 0.0
        return Window(level, level + 1.0, "constant image")
    low, high = (float(v) for v in np.percentile(above, percentiles))
    if high <= low:
        low, high = float(finite.min()), float(finite.max())
    share = f"percentiles {percentiles[0]:g} to {percentiles[1]:g}"
    return Window(low, high, f"{share} of the values above the lowest: {low:g} to {high:g}")


def display(values: npt.NDArray[np.float32], window: Window) -> Image:
    """Spread (H, W) values over 0 to 255 by a window; returns (H, W, 3) uint8.

    Values that are not finite become 0, black.
    """
    outside = ~np.isfinite(values)
    scaled = (np.where(outside, np.float32(window.low), values) - window.low) / (window.high - window.low)
    if window.sigmoid:
        level = 1.0 / (1.0 + np.exp(np.clip(-4.0 * (scaled - 0.5), -80.0, 80.0)))
    else:
        level = np.clip(scaled, 0.0, 1.0)
    if window.inverted:
        level = 1.0 - level
    level[outside] = 0.0
    grey = (level * 255.0 + 0.5).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
