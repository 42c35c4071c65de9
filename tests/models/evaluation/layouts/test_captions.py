import csv
import json

import pytest

from models.errors import ConfigError, DatasetError
from models.evaluation.layouts.captions import medpix, roco, write_captions
from models.evaluation.layouts.known import open_captions


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def entry(image, caption, case="MPX1"):
    return {"image": image, "U_id": case, "Type": "CT", "Description": {"Caption": caption}}


def test_roco_pairs_by_name_and_leaves_out_what_was_not_downloaded(tmp_path):
    touch(tmp_path / "images" / "ROCO_1.jpg")
    touch(tmp_path / "images" / "ROCO_3.jpg")
    (tmp_path / "captions.txt").write_text(
        "ROCO_1\t Chest X-ray.\nROCO_2\tgone\n\nROCO_3\t Ультразвук печени\n", encoding="utf-8"
    )
    found = roco(tmp_path)
    assert [(one.case, one.caption) for one in found] == [
        ("ROCO_1", "Chest X-ray."),
        ("ROCO_3", "Ультразвук печени"),
    ]


def test_roco_names_the_line_without_a_tab(tmp_path):
    (tmp_path / "captions.txt").write_text("ROCO_1 no tab\n")
    with pytest.raises(DatasetError, match=r"captions\.txt:1"):
        roco(tmp_path)


@pytest.mark.parametrize("lines", [False, True])
def test_medpix_keeps_the_case_and_drops_empty_and_unwritten_captions(tmp_path, lines):
    entries = [
        entry("a", "A liver\n mass.", "MPX1"),
        entry("b", "Replace this - DESCRIPTION OF THE IMAGE OR FINDINGS.", "MPX1"),
        entry("c", None, "MPX2"),
        entry("d", "No file", "MPX2"),
    ]
    for name in "abc":
        touch(tmp_path / "images" / f"{name}.png")
    if lines:
        (tmp_path / "descriptions_dev.jsonl").write_text("\n".join(map(json.dumps, entries)))
    else:
        (tmp_path / "Descriptions.json").write_text(json.dumps(entries))
    (only,) = medpix(tmp_path)
    assert (only.image.name, only.caption, only.case) == ("a.png", "A liver mass.", "MPX1")


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "no JSON"), ('[{"image": "a"}]', "without image"), ("[]", "no image with a caption")],
)
def test_medpix_says_what_is_wrong_with_its_descriptions(tmp_path, content, said):
    (tmp_path / "Descriptions.json").write_text(content)
    with pytest.raises(DatasetError, match=said):
        medpix(tmp_path)


def test_a_folder_without_captions_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"captions\.txt"):
        roco(tmp_path)
    with pytest.raises(ConfigError, match="roco, medpix"):
        open_captions("busi", tmp_path)


def test_captions_become_the_table_that_fine_tuning_reads(tmp_path):
    touch(tmp_path / "images" / "ROCO_1.jpg")
    (tmp_path / "captions.txt").write_text('ROCO_1\tA "bright", large mass\n')
    assert write_captions(roco(tmp_path), tmp_path / "out" / "pairs.csv") == 1
    (row,) = csv.DictReader((tmp_path / "out" / "pairs.csv").open(encoding="utf-8"))
    assert row["caption"] == 'A "bright", large mass'
    assert row["image"].endswith("ROCO_1.jpg")
    assert row["patient"] == "ROCO_1"
