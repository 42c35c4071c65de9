"""Results are laid on their sources by millimetres, not by array order."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from app.demo import placement


def slice_at(height_mm: float, rows: int = 12, columns: int = 10) -> Dataset:
    image = Dataset()
    image.Rows, image.Columns = rows, columns
    image.ImagePositionPatient = [-20, -30, height_mm]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.PixelSpacing = [2.0, 0.5]
    return image


class Result:
    """The attributes of a SEG or PM that placement reads."""

    def __init__(self, pixels: np.ndarray, positions: list[list[float]]) -> None:
        self.pixel_array = pixels
        self.Rows, self.Columns = pixels.shape[-2:]
        self.SharedFunctionalGroupsSequence = [Dataset()]
        self.PerFrameFunctionalGroupsSequence = []
        for position in positions:
            plane, group = Dataset(), Dataset()
            plane.ImagePositionPatient = position
            group.PlanePositionSequence = [plane]
            self.PerFrameFunctionalGroupsSequence.append(group)


def test_a_cropped_frame_lands_where_its_position_says():
    pixels = np.arange(1, 7, dtype=np.float32).reshape(1, 2, 3)
    result = Result(pixels, [[-20 + 4 * 0.5, -30 + 5 * 2.0, 8]])

    canvas = placement.on_source(result, slice_at(8))

    assert np.array_equal(canvas[5:7, 4:7], pixels[0])
    assert canvas.sum() == pixels.sum()
    assert not placement.on_source(result, slice_at(10)).any()


def test_frames_of_several_segments_in_one_plane_are_united():
    first, second = np.zeros((2, 12, 10), np.float32)
    first[0, 0] = second[11, 9] = 1
    result = Result(np.stack([first, second]), [[-20, -30, 8]] * 2)

    assert placement.on_source(result, slice_at(8)).sum() == 2


def test_a_frame_beyond_the_edge_is_refused():
    result = Result(np.ones((1, 2, 3), np.float32), [[-20 + 8 * 0.5, -30, 8]])

    with pytest.raises(ValueError, match="does not fit"):
        placement.on_source(result, slice_at(8))


def test_the_extent_is_in_millilitres_for_a_volume():
    sources = [slice_at(height) for height in (0, 5, 10)]
    result = Result(np.ones((2, 12, 10), np.uint8), [[-20, -30, 0], [-20, -30, 5]])

    value, unit = placement.extent(result, sources)

    assert unit == "ml"
    assert value == pytest.approx(2 * 120 * 2.0 * 0.5 * 5 / 1000)
    assert placement.largest(result, sources) in {0, 1}


def test_the_extent_of_an_image_without_spacing_is_its_share():
    source = Dataset()
    source.Rows, source.Columns = 4, 5
    source.PixelSpacing = [0, 0]
    result = Result(np.eye(4, 5, dtype=np.uint8)[None], [[0, 0, 0]])

    assert placement.extent(result, [source]) == (20.0, "% of image")


def test_uncertainty_is_averaged_over_the_mask_only():
    mask, bits = np.zeros((1, 12, 10), np.uint8), np.full((1, 12, 10), 0.9, np.float32)
    mask[0, 2:4, 2:4] = 1
    bits[0, 2:4, 2:4] = 0.25
    position = [[-20, -30, 0]]

    mean = placement.mean_inside(Result(bits, position), Result(mask, position), [slice_at(0), slice_at(5)])

    assert mean == pytest.approx(0.25)
