"""Where the frames of a result lie on the images they were made from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

TOLERANCE_MM = 0.01


@dataclass(frozen=True)
class Frame:
    """One frame of a SEG or PM: (h, w) values and its first pixel's centre in LPS millimetres."""

    values: npt.NDArray[np.float32]
    position: npt.NDArray[np.float64]


def frames(image: Dataset) -> Iterator[Frame]:
    """Yield the frames of a SEG or PM in stored order."""
    pixels = np.asarray(image.pixel_array, dtype=np.float32)
    pixels = pixels.reshape(-1, image.Rows, image.Columns)
    for values, group in zip(pixels, image.PerFrameFunctionalGroupsSequence, strict=True):
        shared = image.SharedFunctionalGroupsSequence[0]
        holder = group if "PlanePositionSequence" in group else shared
        position = np.array(holder.PlanePositionSequence[0].ImagePositionPatient, dtype=np.float64)
        yield Frame(values, position)


def on_source(result: Dataset, source: Dataset) -> npt.NDArray[np.float32]:
    """Lay a result on one of its source images.

    Parameters
    ----------
    result
        SEG or PM on the grid of the source, perhaps cropped; all segments together (maximum).
    source
        A CT or MR slice, or an image without a position in space (then the result has one frame).

    Returns
    -------
    ndarray
        (Rows, Columns) float32 of the source; 0 where the result says nothing.

    Raises
    ------
    ValueError
        A frame reaches over the edge of the source.
    """
    canvas = np.zeros((source.Rows, source.Columns), dtype=np.float32)
    for frame in frames(result):
        place = _first_pixel(frame, source)
        if place is None:
            continue
        row, column = place
        height, width = frame.values.shape
        if row < 0 or column < 0 or row + height > source.Rows or column + width > source.Columns:
            raise ValueError(f"a frame of {height} x {width} at ({row}, {column}) does not fit on its source")
        window = canvas[row : row + height, column : column + width]
        np.maximum(window, frame.values, out=window)
    return canvas


def _first_pixel(frame: Frame, source: Dataset) -> tuple[int, int] | None:
    """Return (row, column) of the frame's first pixel on the source; None when it lies in another plane."""
    if "ImagePositionPatient" not in source:
        return 0, 0
    orientation = np.array(source.ImageOrientationPatient, dtype=np.float64)
    along_row, along_column = orientation[:3], orientation[3:]
    offset = frame.position - np.array(source.ImagePositionPatient, dtype=np.float64)
    if abs(offset @ np.cross(along_row, along_column)) > TOLERANCE_MM:
        return None
    row_spacing, column_spacing = (float(value) for value in source.PixelSpacing)
    return round(float(offset @ along_column) / row_spacing), round(
        float(offset @ along_row) / column_spacing
    )


def largest(result: Dataset, sources: Sequence[Dataset]) -> int:
    """Return the index of the source image that shows most of the result."""
    return int(np.argmax([on_source(result, source).sum() for source in sources]))


def extent(result: Dataset, sources: Sequence[Dataset]) -> tuple[float, str]:
    """Return how large a segmentation is, with its unit.

    Millilitres for several parallel slices, square centimetres for one image with a pixel spacing, otherwise
    per cent of the image.
    """
    pixels = float(sum((on_source(result, source) > 0.5).sum() for source in sources))
    spacing = [float(value) for value in sources[0].get("PixelSpacing") or (0, 0)]
    area = spacing[0] * spacing[1]
    if not area:
        return 100 * pixels / (sources[0].Rows * sources[0].Columns), "% of image"
    if len(sources) == 1:
        return pixels * area / 100, "cm²"
    first, second = (np.array(source.ImagePositionPatient, dtype=np.float64) for source in sources[:2])
    return pixels * area * float(np.linalg.norm(second - first)) / 1000, "ml"


def mean_inside(uncertainty: Dataset, segmentation: Dataset, sources: Sequence[Dataset]) -> float:
    """Return the mean of a Parametric Map over the segmented voxels."""
    values = [on_source(uncertainty, source)[on_source(segmentation, source) > 0.5] for source in sources]
    return float(np.concatenate(values).mean())
