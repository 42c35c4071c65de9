"""The captions' file: columns, cleaning, and each kind of bad input with its line."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import Code, DatasetError
from models.finetune.captions import Cleaning, read_captions
from tests.models.finetune.toy import picture, table

SAID = "a chest radiograph of a man"


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png", "c.jpg"):
        picture(tmp_path / name, (10, 20, 30))
    return tmp_path


def refused(folder, lines, header="image,caption"):
    with pytest.raises(DatasetError) as caught:
        read_captions(table(folder, lines, header), folder)
    return caught.value


@pytest.mark.parametrize(
    ("header", "separator"),
    [
        ("image,caption", ","),
        ("filename,Caption", ","),
        ("Caption\tfilename", "\t"),
        ("image;caption;patient", ";"),
    ],
)
def test_columns_and_separators_of_the_papers_script_and_of_spreadsheets_are_read(folder, header, separator):
    names = header.split(separator)
    rows = []
    for image in ("a.png", "c.jpg"):
        cells = {"image": image, "filename": image, "caption": SAID, "Caption": SAID, "patient": "p1"}
        rows.append(separator.join(cells[name] for name in names))
    found = read_captions(table(folder, rows, header), folder)
    assert [pair.image.name for pair in found.pairs] == ["a.png", "c.jpg"]
    assert {pair.caption for pair in found.pairs} == {SAID}
    expected = {"p1"} if "patient" in names else {"a.png", "c.jpg"}
    assert {pair.patient for pair in found.pairs} == expected


def test_a_quoted_caption_may_hold_the_separator_and_a_mark_at_the_files_beginning_is_no_letter(folder):
    path = folder / "captions.csv"
    path.write_text(f'image,caption\na.png,"{SAID}, standing"\nb.png,{SAID}\n', encoding="utf-8-sig")
    assert read_captions(path, folder).pairs[0].caption == f"{SAID}, standing"


def test_short_captions_are_left_out_and_counted(folder):
    found = read_captions(table(folder, [f"a.png,{SAID}", "b.png,short", f"c.jpg,{SAID}"]), folder)
    assert len(found.pairs) == 2
    assert found.too_short == 1
    shorter = read_captions(folder / "captions.csv", folder, Cleaning(shortest=3))
    assert (len(shorter.pairs), shorter.too_short) == (3, 0)


def test_too_few_usable_pairs_are_refused_with_the_reason(folder):
    error = refused(folder, [f"a.png,{SAID}", "b.png,short"])
    assert error.code is Code.DATASET_INVALID
    assert "1 captions have fewer than 20 characters" in error.message


@pytest.mark.parametrize("lines", [["a.png,", f"b.png,{SAID}"], ["a.png", f"b.png,{SAID}"], ["a.png,   "]])
def test_a_missing_caption_is_refused_with_its_line(folder, lines):
    error = refused(folder, lines)
    assert error.code is Code.DATASET_INVALID
    assert "captions.csv:2: no caption" in error.message


def test_a_missing_image_name_is_refused_with_its_line(folder):
    assert "captions.csv:3: no image" in refused(folder, [f"a.png,{SAID}", f",{SAID}"]).message


def test_an_image_named_twice_is_refused_with_both_lines(folder):
    error = refused(folder, [f"a.png,{SAID}", f"b.png,{SAID}", f"a.png,{SAID} again"])
    assert "captions.csv:4" in error.message
    assert "first in line 2" in error.message


def test_an_image_that_is_not_there_is_refused_with_its_line(folder):
    assert "captions.csv:3: there is no image" in refused(folder, [f"a.png,{SAID}", f"x.png,{SAID}"]).message


@pytest.mark.parametrize("content", [b"", b"broken", b"\xff\xd8\xff\xe0 half a photograph"])
def test_an_unreadable_image_is_refused_with_its_line(folder, content):
    (folder / "b.png").write_bytes(content)
    error = refused(folder, [f"a.png,{SAID}", f"b.png,{SAID}"])
    assert error.code is Code.PIXELS_UNDECODABLE
    assert "captions.csv:3" in error.message


def test_a_truncated_image_is_refused(folder):
    whole = (folder / "c.jpg").read_bytes()
    (folder / "c.jpg").write_bytes(whole[: len(whole) // 2])
    assert refused(folder, [f"a.png,{SAID}", f"c.jpg,{SAID}"]).code is Code.PIXELS_UNDECODABLE


@pytest.mark.parametrize(
    ("header", "lacking"), [("image,text", "caption"), ("picture,caption", "image"), ("x", "image")]
)
def test_missing_columns_are_named(folder, header, lacking):
    assert f"no {lacking}" in refused(folder, ["a,b"], header).message


def test_a_file_that_is_no_text_is_refused(folder):
    (folder / "captions.csv").write_bytes(b"image,caption\n\xff\xfe\x00")
    with pytest.raises(DatasetError, match="UTF-8"):
        read_captions(folder / "captions.csv", folder)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  a\tCT \n scan\r\n", "a CT scan"),
        ("left*lower#lobe", "left lower lobe"),
        ("\ufb01brosis, 2\u00bd cm (T1\u2013T2)", "fibrosis, 21 2 cm (T1 T2)"),
        ("zero\u200bwidth", "zerowidth"),
        (
            "\u80ba\u90e8CT \u0434\u0432\u0430 \u0627\u0644\u0631\u0626\u0629",
            "\u80ba\u90e8CT \u0434\u0432\u0430 \u0627\u0644\u0631\u0626\u0629",
        ),
    ],
)
def test_cleaning_by_example(raw, clean):
    assert Cleaning().clean(raw) == clean


@given(st.text())
def test_cleaning_is_idempotent_and_keeps_only_what_the_rule_keeps(text):
    cleaning = Cleaning()
    once = cleaning.clean(text)
    assert cleaning.clean(once) == once
    assert once == once.strip()
    assert "  " not in once
    for character in once:
        assert unicodedata.category(character)[0] in "LMN" or character in cleaning.punctuation + " "


def test_the_rule_is_recorded():
    assert Cleaning(shortest=7).record()["shortest"] == 7
    assert "NFKC" in Cleaning().record().values()
