"""Stored pixels to values: through the modality LUT, and in colour where the image is."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian

from models.errors import Code, InputError
from operators import header as tags
from operators.slices import Slice

Values: TypeAlias = npt.NDArray[np.float32]
"""(H, W) modality values (PS3.3 C.11.1): Hounsfield units for CT. Padding is NaN."""

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


def read_values(plane: Slice) -> Values:
    """Decode a grey plane to modality values, by the rescale of this very plane: PET differs by slice.

    What PixelPaddingValue marks, up to PixelPaddingRangeLimit where there is one, becomes NaN.

    Raises
    ------
    InputError
        PIXELS_UNDECODABLE when the decoder gives up or returns another size than the header says.
    """
    stored = _decode(plane)
    if stored.ndim != 2:
        raise _undecodable(plane, "a grey image with several samples a pixel")
    values = stored.astype(np.float32)
    tables = tags.items(plane.values, "ModalityLUTSequence")
    if tables:
        values = look_up(values, tables[0], plane)
    else:
        slope = tags.number(plane.values, "RescaleSlope")
        values *= np.float32(1.0 if slope is None else slope)
        values += np.float32(tags.number(plane.values, "RescaleIntercept") or 0.0)
    padding = _padding(plane.instance.header, stored)
    if padding is not None:
        values[padding] = np.nan
    return values


def read_colour(plane: Slice) -> Colour:
    """Decode a colour plane to RGB; of more than 8 bits the most significant 8 are kept.

    Raises
    ------
    InputError
        PIXELS_UNDECODABLE, as for :func:`read_values`.
    """
    stored = _decode(plane)
    if stored.ndim != 3 or stored.shape[2] < 3:
        raise _undecodable(plane, "a colour image without three samples a pixel")
    bits = 8 * stored.dtype.itemsize
    if not _is_palette(plane.instance.header):
        bits = int(tags.number(plane.instance.header, "BitsStored") or bits)
    shown = stored[..., :3].astype(np.uint32) >> max(0, bits - 8)
    return np.ascontiguousarray(shown, dtype=np.uint8)


def look_up(values: Values, table: Dataset, plane: Slice) -> Values:
    """Return the entries of a lookup table (PS3.3 C.11.1.1.1) for values; padding (NaN) stays.

    Values before the first entry and behind the last take that entry.

    Raises
    ------
    InputError
        PIXELS_UNDECODABLE when the table does not hold what its descriptor says.
    """
    entries, first = table_entries(table), tags.numbers(table, "LUTDescriptor", 3)
    if entries is None or first is None:
        raise _undecodable(plane, "a lookup table without a usable LUTDescriptor or LUTData")
    start = first[1]
    if start >= 1 << 15 and tags.number(plane.instance.header, "PixelRepresentation") == 1:
        start -= 1 << 16  # written as signed, read as unsigned
    index = np.clip(np.nan_to_num(values) - start, 0, len(entries) - 1).astype(np.intp)
    found: Values = entries[index]
    found[np.isnan(values)] = np.nan
    return found


def table_entries(table: Dataset) -> Values | None:
    """Return the entries of a lookup table, None when there are fewer than its descriptor says."""
    descriptor, data = tags.numbers(table, "LUTDescriptor", 3), tags.value(table, "LUTData")
    if descriptor is None or descriptor[0] < 0 or data is None:
        return None
    count = int(descriptor[0]) or 1 << 16
    if isinstance(data, bytes):
        width = 1 if len(data) < 2 * count else 2
        entries = np.frombuffer(data[: len(data) // width * width], dtype=f"<u{width}").astype(np.float32)
    else:
        numbers = tags.numbers(table, "LUTData", len(data)) if isinstance(data, Sequence) else None
        entries = np.array(numbers or (), dtype=np.float32)
    return entries[:count] if len(entries) >= count else None


def _decode(plane: Slice) -> npt.NDArray[np.generic]:
    """Return (H, W) or (H, W, samples) as stored, colour as RGB."""
    header = plane.instance.header
    try:
        stored = pixel_array(_source(plane), index=plane.frame if plane.instance.frames > 1 else None)
        if _is_palette(header):
            stored = apply_color_lut(stored, header)
    except _DECODER_ERRORS as error:
        raise _undecodable(plane, type(error).__name__) from error
    if stored.shape[:2] != (plane.instance.rows, plane.instance.columns):
        raise _undecodable(plane, f"decoded to a shape of {stored.shape}")
    return stored


def _source(plane: Slice) -> Path | Dataset:
    """Return what pydicom decodes: the file, from which it reads one frame, or all of a deflated one.

    It looks for the frame at its place in the file, and in a deflated file nothing has a place.
    """
    path = plane.instance.path
    deflated = plane.instance.header.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    return dcmread(path) if deflated else path


def _is_palette(header: Dataset) -> bool:
    return tags.text(header, "PhotometricInterpretation") == "PALETTE COLOR"


def _padding(header: Dataset, stored: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_] | None:
    """Return where the stored values are padding (PS3.3 C.7.5.1.1.2), None where none is declared."""
    value = tags.number(header, "PixelPaddingValue")
    if value is None:
        return None
    limit = tags.number(header, "PixelPaddingRangeLimit")
    # Their VR is US or SS by PixelRepresentation, and not every reader takes the right one.
    ends = np.array([value, value if limit is None else limit]).astype(np.int64).astype(stored.dtype)
    marked: npt.NDArray[np.bool_] = (stored >= ends.min()) & (stored <= ends.max())
    return marked


def _undecodable(plane: Slice, how: str) -> InputError:
    return InputError(
        Code.PIXELS_UNDECODABLE,
        f"The pixels of {plane.name} cannot be decoded ({how}); send the image again, uncompressed.",
    )
