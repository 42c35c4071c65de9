"""One picture per result: the image, what was segmented on it, and how unsure that is, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut

from models.intensity import Voi, choose_window, display

Picture = npt.NDArray[np.uint8]

PANEL = 460
MARGIN = 24
HEADER = 92
CAPTION = 34
FOOTER = 44
BACKGROUND = (16, 20, 26)
TEXT = (235, 238, 242)
FAINT = (150, 160, 172)
WARNING = (255, 196, 87)
CONTOUR = (0, 255, 140)
CONTOUR_PIXELS = 3
NOTICE = "RESEARCH USE ONLY - NOT FOR DIAGNOSIS"

HEAT = ((0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))
"""Six anchors of the colour map 'inferno': dark is sure, bright is unsure; monotone in lightness."""


@dataclass(frozen=True)
class Panel:
    """One picture of the row and the words below it."""

    picture: Picture
    caption: str


def greyscale(image: Dataset) -> Picture:
    """Return an image as a person sees it: (H, W, 3) uint8, window as the method chooses it."""
    stored = image.pixel_array
    if stored.ndim == 3:
        return np.asarray(stored, dtype=np.uint8)
    values = np.asarray(apply_modality_lut(stored, image), dtype=np.float32)
    centre, width = image.get("WindowCenter"), image.get("WindowWidth")
    picture = str(image.Modality) in {"CR", "DX", "MG"}
    own = Voi(centre, width).window if picture and isinstance(centre, float) and isinstance(width, float) else None
    shown = display(values, choose_window(values, str(image.Modality), own=own))
    return 255 - shown if image.PhotometricInterpretation == "MONOCHROME1" else shown


def fit(picture: Picture, *, smooth: bool = True) -> Picture:
    """Scale a picture so that its longer side is a panel's."""
    height, width = picture.shape[:2]
    scale = PANEL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).resize(size, method))


def outlined(picture: Picture, mask: npt.NDArray[np.bool_]) -> Picture:
    """Draw the outline of a mask on a picture of the same size, on the inside of the mask.

    Parameters
    ----------
    picture
        (H, W, 3) uint8.
    mask
        (H, W) bool.
    """
    inner = mask.copy()
    for _ in range(CONTOUR_PIXELS):
        padded = np.pad(inner, 1)
        inner = inner & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    drawn = picture.copy()
    drawn[mask & ~inner] = CONTOUR
    return drawn


def heat(values: npt.NDArray[np.float32]) -> Picture:
    """Colour values between 0 and 1 (bits of entropy); returns (H, W, 3) uint8."""
    position = np.clip(values, 0, 1) * (len(HEAT) - 1)
    channels = [np.interp(position, range(len(HEAT)), anchors) for anchors in zip(*HEAT, strict=True)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def segmented(
    image: Picture, mask: npt.NDArray[np.bool_], uncertainty: npt.NDArray[np.float32]
) -> list[Panel]:
    """Return the three panels of a result on one image.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    mask
        (H, W) bool.
    uncertainty
        (H, W) entropy in bits.
    """
    large = fit(image)
    outline = fit(mask.astype(np.uint8) * 255, smooth=False) > 127
    return [
        Panel(large, "image"),
        Panel(outlined(large, outline), "segmentation"),
        Panel(fit(heat(uncertainty)), "uncertainty, 0 (dark) to 1 bit (bright)"),
    ]


def compose(panels: Sequence[Panel], title: str, subtitle: str) -> Image.Image:
    """Set panels side by side under a title, with the notice that this is no diagnosis."""
    widths = [panel.picture.shape[1] for panel in panels]
    tallest = max(panel.picture.shape[0] for panel in panels)
    width = sum(widths) + MARGIN * (len(panels) + 1)
    sheet = Image.new("RGB", (width, HEADER + tallest + CAPTION + FOOTER), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 18), title, TEXT, font=_fitting(title, width - 2 * MARGIN, 26))
    draw.text((MARGIN, 56), subtitle, FAINT, font=_fitting(subtitle, width - 2 * MARGIN, 18))
    left = MARGIN
    for panel, panel_width in zip(panels, widths, strict=True):
        top = HEADER + (tallest - panel.picture.shape[0]) // 2
        sheet.paste(Image.fromarray(panel.picture), (left, top))
        caption = _fitting(panel.caption, panel_width, 16)
        draw.text((left, HEADER + tallest + 8), panel.caption, FAINT, font=caption)
        left += panel_width + MARGIN
    draw.text((MARGIN, HEADER + tallest + CAPTION + 8), NOTICE, WARNING, font=_fitting(NOTICE, width, 18))
    return sheet


def save(panels: Sequence[Panel], title: str, subtitle: str, path: Path) -> None:
    """Write the composed panels as PNG."""
    compose(panels, title, subtitle).save(path)


def _fitting(text: str, width: float, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the built-in font at ``size``, or as much smaller as ``text`` needs to fit into ``width``."""
    font = ImageFont.load_default(size)
    while size > 10 and font.getlength(text) > width:
        size -= 1
        font = ImageFont.load_default(size)
    return font
