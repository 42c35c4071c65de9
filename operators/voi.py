"""How a grey image wants to be shown: by VOI LUT, by window, or as its values are (PS3.3 C.11.2)."""

from dataclasses import replace

from pydicom.dataset import Dataset

from models.intensity import (
    AUTO,
    IDENTITY,
    QUANTITATIVE,
    Voi,
    VoiFunction,
    Window,
    WindowChoice,
    choose_window,
)
from operators import header as tags
from operators.pixels import Values, look_up, table_entries
from operators.slices import Slice

_FUNCTIONS: dict[str, VoiFunction] = {"LINEAR_EXACT": "LINEAR_EXACT", "SIGMOID": "SIGMOID"}


def picture_window(plane: Slice, values: Values, choice: WindowChoice = AUTO) -> tuple[Values, Window]:
    """Return the values of a picture that are shown, and the window that shows them.

    Unless the task asks for a window or percentiles: the first VOI LUT of the image that is whole, else its
    first window, else 8-bit values as they are, else percentiles.
    """
    header, own = _voi_module(plane), None
    if choice.centre_width is None and choice.percentiles is None:
        tables = [table for table in tags.items(header, "VOILUTSequence") if table_entries(table) is not None]
        if tables:
            values = look_up(values, tables[0], plane)
            own = Window(0.0, _largest(tables[0]), f"VOI LUT of the image, the first of {len(tables)}")
        else:
            own = _own_window(plane)
    return values, upright(choose_window(values, plane.instance.modality, choice, own), plane)


def upright(window: Window, plane: Slice) -> Window:
    """Return the window so that bright is bright: MONOCHROME1 shows small values bright.

    Hounsfield units and activities mean the same however they are printed, so CT and PET are left alone.
    """
    small_is_bright = tags.text(plane.instance.header, "PhotometricInterpretation") == "MONOCHROME1"
    if not small_is_bright or plane.instance.modality in QUANTITATIVE:
        return window
    return replace(window, rule=f"{window.rule}, inverted (MONOCHROME1)", inverted=True)


def _voi_module(plane: Slice) -> Dataset:
    """Return what holds the VOI LUT of a plane: a functional group of its frame, or the header."""
    return plane.group("FrameVOILUTSequence") if plane.groups else plane.instance.header


def _largest(table: Dataset) -> float:
    """Return the largest value that entries of a table can have: they may have 8 or 10 to 16 bits."""
    descriptor = tags.numbers(table, "LUTDescriptor", 3)
    bits = int(descriptor[2]) if descriptor is not None else 0
    return float((1 << bits) - 1) if 8 <= bits <= 16 else float((1 << 16) - 1)


def _own_window(plane: Slice) -> Window | None:
    header = _voi_module(plane)
    centre, width = tags.number(header, "WindowCenter"), tags.number(header, "WindowWidth")
    if centre is not None and width is not None:
        function = _FUNCTIONS.get(tags.text(header, "VOILUTFunction"), "LINEAR")
        own = Voi(centre, width, function).window
        if own is not None:
            return own
    return IDENTITY if _is_ready_for_display(plane) else None


def _is_ready_for_display(plane: Slice) -> bool:
    header, values = plane.instance.header, plane.values
    return (
        tags.number(header, "BitsStored") == 8
        and tags.number(header, "PixelRepresentation") == 0
        and not tags.items(values, "ModalityLUTSequence")
        and tags.number(values, "RescaleSlope") in {None, 1.0}
        and tags.number(values, "RescaleIntercept") in {None, 0.0}
    )
