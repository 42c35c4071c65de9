"""A file is proved whole before anything is made of it."""

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from models.errors import Code, InputError
from operators.instance import SeriesFileError, read_instance
from tests.operators.synthetic import ROOT, radiograph, save, volume


def code_of(path: Path) -> Code:
    with pytest.raises(InputError) as caught:
        read_instance(path)
    assert path.name in caught.value.message
    return caught.value.code


def test_a_whole_file_is_read_without_its_pixels(tmp_path):
    instance = read_instance(radiograph(tmp_path / "a.dcm"))
    assert (instance.rows, instance.columns, instance.frames, instance.modality) == (60, 50, 1, "CR")
    assert "PixelData" not in instance.header


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 128 + b"DICN" + b"\0" * 200])
def test_what_is_not_dicom_is_named_so(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    assert code_of(path) is Code.FILE_NOT_DICOM


@pytest.mark.parametrize("kept", [0.999, 0.6, 0.3])
def test_cut_pixels_are_detected_and_the_series_is_known(tmp_path, kept):
    path = radiograph(tmp_path / "a.dcm")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(SeriesFileError) as caught:
        read_instance(path)
    assert caught.value.code is Code.FILE_TRUNCATED
    assert caught.value.series_instance_uid == f"{ROOT}.5"


def test_a_header_cut_inside_an_element_is_truncated(tmp_path):
    path = radiograph(tmp_path / "a.dcm")
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"Doctor^A") + 3])
    assert code_of(path) is Code.FILE_TRUNCATED


def test_every_cut_of_a_compressed_image_is_detected(tmp_path):
    path = radiograph(tmp_path / "a.dcm")
    image = pydicom.dcmread(path)
    image.compress(RLELossless)
    image.save_as(path)
    whole = path.read_bytes()
    read_instance(path)
    for end in range(len(whole) - 1, whole.rindex(struct.pack("<HH", 0x7FE0, 0x0010)) + 12, -7):
        path.write_bytes(whole[:end])
        assert code_of(path) is Code.FILE_TRUNCATED


def test_an_image_without_pixels_is_refused(tmp_path):
    path = radiograph(tmp_path / "a.dcm", edit=lambda image, _: delattr(image, "PixelData"))
    assert code_of(path) is Code.PIXELS_MISSING


def test_pixels_shorter_than_the_header_promises_are_refused(tmp_path):
    path = radiograph(tmp_path / "a.dcm", edit=lambda image, _: setattr(image, "Rows", 61))
    assert code_of(path) is Code.FILE_TRUNCATED


@pytest.mark.parametrize("syntax", ["1.2.3.4.5", "1.2.840.10008.1.2.4.102"])
def test_an_unknown_transfer_syntax_is_refused(tmp_path, syntax):
    path = radiograph(tmp_path / "a.dcm")
    image = pydicom.dcmread(path)
    image.PixelData = encapsulate([b"not a picture!!!"])
    image["PixelData"].is_undefined_length = True
    image.file_meta.TransferSyntaxUID = syntax
    image.save_as(path, implicit_vr=False, little_endian=True)
    assert code_of(path) is Code.TRANSFER_SYNTAX_UNKNOWN


@pytest.mark.parametrize(
    "promise",
    [{"Rows": 65535, "Columns": 65535}, {"NumberOfFrames": 2_000_000_000}],
    ids=["matrix", "frames"],
)
def test_a_header_that_promises_a_mountain_of_pixels_is_refused_unread(tmp_path, promise):
    def edit(image, _):
        for keyword, value in promise.items():
            setattr(image, keyword, value)

    assert code_of(radiograph(tmp_path / "a.dcm", edit=edit)) is Code.PIXELS_TOO_LARGE


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "BitsAllocated"])
def test_a_header_without_a_matrix_is_refused(tmp_path, keyword):
    path = radiograph(tmp_path / "a.dcm", edit=lambda image, _: delattr(image, keyword))
    assert code_of(path) is Code.TAG_MISSING


@pytest.mark.parametrize(
    "hostile", ["../../x", "1." * 32 + "1", "1.2\x003", "1..2", "1.2.", "a.b", "1.2/3", "1 2"]
)
@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_hostile_uids_are_refused_and_shown_escaped(tmp_path, keyword, hostile):
    path = radiograph(tmp_path / "a.dcm")
    image = pydicom.dcmread(path)
    with pydicom.config.disable_value_validation():
        setattr(image, keyword, hostile)
        image.save_as(path)
    with pytest.raises(InputError) as caught:
        read_instance(path)
    assert caught.value.code is Code.UID_INVALID
    assert "\x00" not in caught.value.message


def test_emptied_uids_are_filled_alike_for_files_of_one_series(tmp_path):
    def empty(image, _):
        for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
            setattr(image, keyword, "")

    paths = volume(tmp_path, edit=empty)
    instances = [read_instance(path) for path in paths]
    assert len({instance.series_instance_uid for instance in instances}) == 1
    assert len({instance.sop_instance_uid for instance in instances}) == len(paths)
    assert set(instances[0].filled) == {
        "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID",
    }  # fmt: skip


def test_a_report_needs_no_pixels(tmp_path):
    path = radiograph(tmp_path / "a.dcm")
    image = pydicom.dcmread(path)
    del image.PixelData
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    image.Modality = "SR"
    save(image, path)
    assert read_instance(path).modality == "SR"


def test_odd_numbers_of_8_bit_pixels_are_whole_with_their_padding(tmp_path):
    def edit(image, _):
        image.Rows, image.Columns, image.BitsAllocated, image.BitsStored, image.HighBit = 5, 5, 8, 8, 7
        image.PixelData = np.zeros(26, dtype=np.uint8).tobytes()

    assert read_instance(radiograph(tmp_path / "a.dcm", edit=edit)).rows == 5
