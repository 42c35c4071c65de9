"""From stored values to the 8-bit picture that the encoders see.

One window serves a whole series, so that a structure looks the same on every slice, and is recorded in the
result. CT is windowed before the encoder: without it the lungs vanish between air and bone.
"""

from dataclasses import dataclass

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

PERCENTILES = (0.5, 99.5)
SAMPLE = 2_000_000


@dataclass(frozen=True)
class Window:
    """The range of values that is spread over 0 to 255, and the rule that chose it."""

    low: float
    high: float
    rule: str


IDENTITY = Window(0.0, 255.0, "8-bit values as they are")


def choose_window(
    values: npt.NDArray[np.float32],
    modality: str,
    name: str = "auto",
    voi: tuple[float, float] | None = None,
) -> Window:
    """Choose one window for all values of a series.

    Parameters
    ----------
    values
        Any shape; modality values (Hounsfield units for CT).
    modality
        DICOM Modality.
    name
        A CT window by name, or ``auto``: soft tissue for CT, the image's own VOI window for CR and DX where
        it has one, percentiles 0.5 to 99.5 of the finite values above the minimum otherwise.
    voi
        (WindowCenter, WindowWidth) of the image, PS3.3 C.11.2.
    """
    if modality == "CT":
        chosen = "soft-tissue" if name == "auto" else name
        centre, width = CT_WINDOWS[chosen]
        return Window(
            centre - width / 2,
            centre + width / 2,
            f"CT {chosen} window, centre {centre:g} width {width:g} HU",
        )
    if voi is not None and modality in {"CR", "DX", "MG"} and voi[1] > 1:
        centre, width = voi
        return Window(
            centre - width / 2, centre + width / 2, f"VOI window, centre {centre:g} width {width:g}"
        )
    finite = values[np.isfinite(values)]
    if finite.size > SAMPLE:
        finite = finite[:: finite.size // SAMPLE + 1]
    above = finite[finite > finite.min()] if finite.size else finite
    if above.size == 0:
        level = float(finite[0]) if finite.size else 0.0
        return Window(level, level + 1.0, "constant image")
    low, high = (float(v) for v in np.percentile(above, PERCENTILES))
    if high <= low:
        low, high = float(finite.min()), float(finite.max())
    return Window(low, high, f"percentiles {PERCENTILES[0]:g} to {PERCENTILES[1]:g} of the series")


def display(values: npt.NDArray[np.float32], window: Window) -> Image:
    """Spread (H, W) values over 0 to 255 by a window; returns (H, W, 3) uint8.

    Values that are not finite become 0.
    """
    scaled = (np.nan_to_num(values, nan=window.low) - window.low) / (window.high - window.low)
    grey = (np.clip(scaled, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
