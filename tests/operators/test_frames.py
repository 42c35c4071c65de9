"""Pixel data made frame by frame is what the whole array would have given."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.pixels.decoders import RLELosslessDecoder
from pydicom.pixels.utils import unpack_bits

from operators.frames import FrameStream, put_bits, put_bytes, put_floats, put_run_lengths

stacks = arrays.arrays(np.bool_, st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)))


@given(stacks)
def test_bits_of_all_frames_follow_each_other_without_a_gap(frames):
    result = Dataset()
    result.NumberOfFrames = len(frames)
    put_bits(result, frames.__getitem__)
    assert (result.Rows, result.Columns) == frames.shape[1:]
    assert len(result.PixelData) % 2 == 0
    np.testing.assert_array_equal(unpack_bits(result.PixelData)[: frames.size], frames.ravel())
    assert not unpack_bits(result.PixelData)[frames.size :].any()


@given(stacks)
def test_bytes_are_zero_and_one_and_an_odd_number_of_them_is_padded_when_written(frames):
    result = Dataset()
    result.NumberOfFrames, result.BitsAllocated = len(frames), 8
    put_bytes(result, frames.__getitem__)
    assert (result.Rows, result.Columns) == frames.shape[1:]
    file = io.BytesIO()
    dcmwrite(file, result, implicit_vr=False, little_endian=True)
    pixels = dcmread(file, force=True).PixelData
    assert len(pixels) % 2 == 0
    assert pixels[: frames.size] == frames.astype(np.uint8).tobytes()


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))))
def test_run_lengths_hold_a_matrix_of_any_size(frames):
    result = Dataset()
    result.BitsAllocated = result.BitsStored = 8
    result.PhotometricInterpretation = "MONOCHROME2"
    put_run_lengths(result, iter(frames))
    sizes = {"rows": result.Rows, "columns": result.Columns, "samples_per_pixel": 1, "bits_allocated": 8}
    decoded, _ = RLELosslessDecoder.as_array(
        result.PixelData,
        **sizes,
        bits_stored=8,
        number_of_frames=len(frames),
        pixel_keyword="PixelData",
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
    )
    np.testing.assert_array_equal(decoded.reshape(frames.shape), frames)


@given(st.integers(1, 4), st.lists(st.integers(1, 70), max_size=20))
def test_a_stream_gives_the_same_bytes_however_it_is_read(count, sizes):
    whole = np.arange(count * 6, dtype=np.float32).reshape(count, 2, 3)
    stream = FrameStream(whole.__getitem__, count)
    read = b"".join(stream.read(size) for size in sizes)
    assert read + stream.read() == whole.tobytes()
    assert stream.read(1) == b""


def test_a_stream_can_be_measured_and_read_twice():
    whole = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    stream = FrameStream(whole.__getitem__, 2)
    assert stream.seek(0, io.SEEK_END) == whole.nbytes
    assert stream.seek(-4, io.SEEK_CUR) == stream.tell() == whole.nbytes - 4
    assert stream.read() == whole.tobytes()[-4:]
    stream.seek(0)
    assert stream.read() == whole.tobytes()


def test_only_one_frame_is_made_at_a_time():
    made = []

    def frame(index):
        made.append(index)
        return np.full((2, 2), index, dtype=np.float32)

    result = Dataset()
    result.NumberOfFrames = 3
    put_floats(result, frame)
    made.clear()
    for _ in range(6):
        result.FloatPixelData.read(8)
    assert made == [1, 2]


def test_floats_are_little_endian_whatever_the_array_is():
    result = Dataset()
    result.NumberOfFrames = 1
    put_floats(result, lambda _: np.array([[1.5]], dtype=">f4"))
    assert result.FloatPixelData.read() == np.array([1.5], dtype="<f4").tobytes()


@pytest.mark.parametrize("index", [0, 1])
def test_a_frame_that_cannot_be_made_is_not_hidden(index):
    def frame(asked):
        if asked == index:
            raise ValueError("no such plane")
        return np.zeros((1, 2), dtype=np.float32)

    with pytest.raises(ValueError, match="no such plane"):
        FrameStream(frame, 2).read()
