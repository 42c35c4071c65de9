"""How large the pixels of a picture are."""

from operators.regions import searched_spacing
from operators.slices import Slice, positive_pair

_DETECTOR_SPACINGS = ("ImagerPixelSpacing", "NominalScannedPixelSpacing")


def picture_spacing(plane: Slice) -> tuple[float, float] | None:
    """Return row and column spacing of a picture in mm (at the detector where nothing better is known)."""
    header = plane.instance.header
    calibrated = plane.spacing or searched_spacing(plane)
    pairs = (calibrated, *(positive_pair(header, keyword) for keyword in _DETECTOR_SPACINGS))
    return next(((pair[0], pair[1]) for pair in pairs if pair is not None), None)


def pixel_shape(plane: Slice) -> tuple[float, float]:
    """Return height and width of a pixel: in mm where known, else relative to each other.

    PixelAspectRatio is vertical to horizontal (PS3.3 C.7.6.3.1.7); without it pixels are square.
    """
    known = picture_spacing(plane)
    if known is not None:
        return known
    ratio = positive_pair(plane.instance.header, "PixelAspectRatio")
    return (round(ratio[0] / ratio[1], 6), 1.0) if ratio is not None else (1.0, 1.0)
