"""The pictures carry their warning in the pixels, and the note says in words that nothing was found."""

import io

import numpy as np
import pydicom
import pytest

from operators.secondary_capture import note, picture_of
from operators.stack import build_stack
from operators.study import read_folder
from tests.operators.results import asymmetric, provenance, task
from tests.operators.synthetic import ROOT, radiograph, ultrasound, volume


def stack_of(path):
    (series,) = read_folder(path).series
    return build_stack(series)


def written(result):
    buffer = io.BytesIO()
    result.save_as(buffer, enforce_file_format=True)
    return pydicom.dcmread(io.BytesIO(buffer.getvalue()))


def test_mask_and_uncertainty_stand_side_by_side_over_a_warning(tmp_path):
    stack = stack_of(radiograph(tmp_path / "x.dcm"))
    read = written(picture_of(stack, asymmetric(stack, (0,)).planes[0], provenance()))
    pixels = read.pixel_array
    assert read.PhotometricInterpretation == "RGB"
    left, right = pixels[28:-28, : read.Columns // 2], pixels[28:-28, read.Columns // 2 :]
    assert (left[:60, :50, 0].astype(int) - left[:60, :50, 2] > 50).any()
    assert (right[:60, :50, 0] != right[:60, :50, 1]).any()
    assert pixels[-24:].max() > 200
    assert read.SeriesDescription == "AI liver SC - NOT FOR DIAGNOSTIC USE"


@pytest.mark.parametrize(("stated", "expected"), [("NO", "NO"), ("YES", "YES"), (None, "YES")])
def test_a_picture_may_show_what_its_source_shows(tmp_path, stated, expected):
    """Without a word of the source, a name burned into the image cannot be ruled out."""

    def edit(image, _):
        if stated is not None:
            image.BurnedInAnnotation = stated

    stack = stack_of(radiograph(tmp_path / "x.dcm", edit=edit))
    read = written(picture_of(stack, asymmetric(stack, (0,)).planes[0], provenance()))
    assert read.BurnedInAnnotation == expected


def test_a_large_image_becomes_a_picture_of_bearable_size(tmp_path):
    def edit(image, _):
        image.Rows, image.Columns = 2000, 1500
        image.PixelData = np.arange(3_000_000, dtype=np.uint16).tobytes()

    stack = stack_of(radiograph(tmp_path / "x.dcm", edit=edit))
    read = written(picture_of(stack, asymmetric(stack, (0,)).planes[0], provenance()))
    assert (read.Rows, read.Columns) == (640 + 56, 960)


def test_the_note_names_prompt_version_and_series_and_no_patient(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("PIL.ImageDraw.ImageDraw.text", lambda self, at, text, **_: drawn.append(text))
    stack = stack_of(ultrasound(tmp_path / "x.dcm"))
    note(stack, provenance(), "Nothing found", ["Reason: TARGET-ABSENT"])
    page = "\n".join(drawn)
    for wanted in (
        "Nothing found",
        "bright | the liver",
        "textseg 0.1.0",
        f"{ROOT}.6",
        "NOT FOR DIAGNOSTIC USE",
    ):
        assert wanted in page
    for identity in ("PAT-7", "ller", "ACC-9", "1970"):
        assert identity not in page


def test_the_note_is_small_refers_to_all_images_and_repeats_byte_for_byte(tmp_path):
    volume(tmp_path)
    stack = stack_of(tmp_path)
    one, other = (note(stack, provenance(), "Nothing found", []) for _ in range(2))
    assert one == other
    read = written(one)
    assert len(read.PixelData) < 1_000_000
    assert len(read.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 6
    assert read.BurnedInAnnotation == "NO"
    assert read.PatientID == "PAT-7"
    assert (read.DateOfSecondaryCapture, read.ContentQualification) == (read.ContentDate, "RESEARCH")


def test_a_prompt_of_a_thousand_characters_fits_on_the_page(tmp_path):
    stack = stack_of(ultrasound(tmp_path / "x.dcm"))
    asked = task(targets=[{**task().targets[0].model_dump(), "prompts": ["肝 " * 500]}])
    assert written(note(stack, provenance(asked), "Nothing found", [])).Rows == 400
