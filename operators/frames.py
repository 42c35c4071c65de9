"""Pixel data of multi-frame results, made frame by frame.

highdicom builds a multi-frame object from one array and copies it several times: 600 frames of 512 x 512 cost
it 4 GB. So it gets sources of one pixel (:mod:`operators.references`) and an array of one pixel per frame,
from which every functional group follows; the true size and pixels are put in here.
"""

import io
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import RLELosslessEncoder

Frame = npt.NDArray[np.generic]


class FrameStream(io.BufferedIOBase):
    """The native frames of an image as a file to read from, of which one frame at a time is in memory.

    pydicom writes such an element piece by piece. ``frame`` returns frame ``index`` (from 0), an array of
    (rows, columns); all have the size of the first, and are made anew every time they are read. A byte 0
    follows an odd number of bytes (PS3.5 8.1.1), which pydicom adds to bytes only.
    """

    def __init__(self, frame: Callable[[int], Frame], frames: int) -> None:
        super().__init__()
        self._frame = frame
        self._index, self._bytes = 0, frame(0).tobytes()
        self._pixels = frames * len(self._bytes)
        self._length = self._pixels + self._pixels % 2
        self._place = 0

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be read again."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a place; return it."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._length}[whence]
        self._place = max(0, origin + offset)
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next ``size`` bytes, fewer at the end; all that are left when it is negative or None."""
        end = self._length if size is None or size < 0 else min(self._length, self._place + size)
        parts = []
        while self._place < min(end, self._pixels):
            index, offset = divmod(self._place, len(self._bytes))
            if index != self._index:
                self._index, self._bytes = index, self._frame(index).tobytes()
            parts.append(self._bytes[offset : offset + end - self._place])
            self._place += len(parts[-1])
        padding = b"\0" * max(0, end - self._place)
        self._place += len(padding)
        return b"".join([*parts, padding])


def put_floats(result: Dataset, frame: Callable[[int], npt.NDArray[np.float32]]) -> None:
    """Make ``frame`` of 0 to NumberOfFrames - 1 the Float Pixel Data of a result."""
    result.Rows, result.Columns = frame(0).shape
    result.FloatPixelData = FrameStream(
        lambda index: np.ascontiguousarray(frame(index), dtype="<f4"), int(result.NumberOfFrames)
    )


def put_bytes(result: Dataset, frame: Callable[[int], npt.NDArray[np.bool_]]) -> None:
    """Make ``frame`` of 0 to NumberOfFrames - 1 the Pixel Data of a result, a byte a pixel."""
    result.Rows, result.Columns = frame(0).shape
    result.PixelData = FrameStream(lambda index: frame(index).astype(np.uint8), int(result.NumberOfFrames))


def put_bits(result: Dataset, frame: Callable[[int], npt.NDArray[np.bool_]]) -> None:
    """Make ``frame`` of 0 to NumberOfFrames - 1 the Pixel Data of a result, a bit a pixel.

    The first pixel is the least significant bit, and no frame begins a byte of its own (PS3.5 8.1.1).
    """
    result.Rows, result.Columns = frame(0).shape
    packed, rest = [], np.empty(0, dtype=np.bool_)
    for index in range(int(result.NumberOfFrames)):
        bits = np.concatenate([rest, frame(index).ravel()])
        whole = len(bits) // 8 * 8
        packed.append(np.packbits(bits[:whole], bitorder="little").tobytes())
        rest = bits[whole:]
    packed.append(np.packbits(rest, bitorder="little").tobytes())
    data = b"".join(packed)
    result.PixelData = data + b"\0" * (len(data) % 2)


def put_run_lengths(result: Dataset, frames: Iterable[npt.NDArray[np.unsignedinteger]]) -> None:
    """Make ``frames`` the Pixel Data of a result, each compressed as RLE Lossless (PS3.5 annex G)."""
    encoded = []
    for frame in frames:
        result.Rows, result.Columns = frame.shape
        encoded.append(
            RLELosslessEncoder.encode(
                frame,
                encoding_plugin="pylibjpeg",  # GDCM ends the process over an odd number of pixels
                rows=result.Rows,
                columns=result.Columns,
                samples_per_pixel=1,
                number_of_frames=1,
                bits_allocated=result.BitsAllocated,
                bits_stored=result.BitsStored,
                pixel_representation=0,
                photometric_interpretation=result.PhotometricInterpretation,
            )
        )
    result.PixelData = encapsulate(encoded)
