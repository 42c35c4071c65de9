"""Stored pixels to values: rescaled, the right way up in brightness, in colour where the image is."""

import struct
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from models.errors import Code, InputError
from operators import header as tags
from operators.slices import Slice

Values: TypeAlias = npt.NDArray[np.float32]
"""(H, W) modality values (PS3.3 C.11.1): Hounsfield units for CT. Large is bright."""

Colour: TypeAlias = npt.NDArray[np.uint8]
"""(H, W, 3) RGB."""

_DECODER_ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    EOFError,
    OSError,
    struct.error,
)


def is_colour(plane: Slice) -> bool:
    """Tell whether a plane is a colour image (RGB, YBR or palette)."""
    header = plane.instance.header
    palette = tags.text(header, "PhotometricInterpretation") == "PALETTE COLOR"
    return palette or (tags.number(header, "SamplesPerPixel") or 1) >= 3


def read_values(plane: Slice) -> Values:
    """Decode a grey plane to modality values, by the rescale of this very plane: PET differs by slice.

    MONOCHROME1 (small is bright) is negated, so that large is bright on every image.

    Raises
    ------
    InputError
        PIXELS_UNDECODABLE when the decoder gives up or returns another size than the header says.
    """
    stored = _decode(plane)
    if stored.ndim != 2:
        raise _undecodable(plane, "a grey image with several samples a pixel")
    slope = tags.number(plane.values, "RescaleSlope") or 1.0
    intercept = tags.number(plane.values, "RescaleIntercept") or 0.0
    values = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    return -values if _small_is_bright(plane) else values


def read_colour(plane: Slice) -> Colour:
    """Decode a colour plane to RGB; 16-bit palettes keep their most significant 8 bits.

    Raises
    ------
    InputError
        PIXELS_UNDECODABLE, as for :func:`read_values`.
    """
    stored = _decode(plane)
    if stored.ndim != 3 or stored.shape[2] < 3:
        raise _undecodable(plane, "a colour image without three samples a pixel")
    bits = 8 * stored.dtype.itemsize
    return np.ascontiguousarray(stored.astype(np.uint32)[..., :3] >> (bits - 8), dtype=np.uint8)


def voi_window(plane: Slice) -> tuple[float, float] | None:
    """Return (WindowCenter, WindowWidth) in the values of :func:`read_values`, or None."""
    header = plane.instance.header
    centre, width = tags.number(header, "WindowCenter"), tags.number(header, "WindowWidth")
    if centre is None or width is None or width <= 0:
        return None
    return (-centre, width) if _small_is_bright(plane) else (centre, width)


def _decode(plane: Slice) -> npt.NDArray[np.generic]:
    """Return (H, W) or (H, W, samples) as stored, colour as RGB."""
    header = plane.instance.header
    try:
        stored = pixel_array(plane.instance.path, index=plane.frame if plane.instance.frames > 1 else None)
        if tags.text(header, "PhotometricInterpretation") == "PALETTE COLOR":
            stored = apply_color_lut(stored, header)
    except _DECODER_ERRORS as error:
        raise _undecodable(plane, type(error).__name__) from error
    if stored.shape[:2] != (plane.instance.rows, plane.instance.columns):
        raise _undecodable(plane, f"decoded to a shape of {stored.shape}")
    return stored


def _small_is_bright(plane: Slice) -> bool:
    return tags.text(plane.instance.header, "PhotometricInterpretation") == "MONOCHROME1"


def _undecodable(plane: Slice, how: str) -> InputError:
    return InputError(
        Code.PIXELS_UNDECODABLE,
        f"The pixels of {plane.name} cannot be decoded ({how}); send the image again, uncompressed.",
    )
