"""Captions made from tables of findings and labels."""

import csv

import pytest

from models.align.concepts import vocabulary
from models.errors import DatasetError
from models.evaluation.layouts.captions import Captioned
from models.evaluation.layouts.findings import WITHOUT_TUMOUR, brain_caption, chest_caption
from models.evaluation.layouts.known import open_captions
from models.finetune.captions import Cleaning

ROW = dict.fromkeys(
    (
        "patientid",
        "sex",
        "age",
        "finding",
        "in_icu",
        "intubation_present",
        "view",
        "clinical_notes",
        "filename",
    ),
    "",
)


def test_a_row_of_findings_becomes_a_sentence():
    row = {**ROW, "view": "AP Supine", "sex": "F", "age": "44", "finding": "COVID-19", "in_icu": "Y"}
    assert chest_caption(row) == (
        "Chest radiograph, supine anteroposterior view, of a woman aged 44 with COVID-19 in intensive care."
    )


@pytest.mark.parametrize("finding", ["todo", "Unknown", ""])
def test_what_is_not_known_is_not_said(finding):
    row = {**ROW, "view": "PA", "finding": finding, "in_icu": "N"}
    assert chest_caption(row) == "Chest radiograph, posteroanterior view, of a patient."


def test_notes_follow_the_sentence():
    row = {**ROW, "finding": "No Finding", "intubation_present": "Y", "clinical_notes": " Hazy. "}
    assert (
        chest_caption(row) == "Chest radiograph, of a patient without a finding with a tracheal tube. Hazy."
    )


@pytest.mark.parametrize("label", ["glioma tumor", "meningioma tumor", "pituitary tumor", "no tumor"])
def test_labels_become_wordings_that_say_them_chosen_by_name(label):
    said = {brain_caption(f"{label}_{i:03}", label) for i in range(40)}
    assert len(said) > 2
    assert brain_caption("x", label) == brain_caption("x", label)
    if label == "no tumor":
        assert said <= set(WITHOUT_TUMOUR)
        assert all(len(caption) >= Cleaning().shortest for caption in said)
    else:
        words = vocabulary()[f"brain-tumour-{label.split()[0]}"]
        assert said <= {*words.trained, *words.held_out}


def test_findings_and_labels_are_read_and_the_folder_without_them_is_refused(tmp_path):
    with (tmp_path / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ROW)
        writer.writeheader()
        writer.writerow({**ROW, "patientid": "5", "filename": "x.jpg", "view": "PA"})
    (tmp_path / "labels.csv").write_text("name,label\ny,glioma tumor\n")
    (chest,) = open_captions("covid-chest", tmp_path)
    expected = tmp_path / "images" / "x.png"
    assert chest == Captioned(expected, "Chest radiograph, posteroanterior view, of a patient.", "5")
    (brain,) = open_captions("brain-labels", tmp_path)
    assert (brain.image.name, brain.case) == ("y.png", "y")
    for layout in ("covid-chest", "brain-labels"):
        with pytest.raises(DatasetError, match="cannot be read"):
            open_captions(layout, tmp_path / "nowhere")


def test_identical_slices_are_one_case_and_stay_on_one_side_of_a_split(tmp_path):
    (tmp_path / "images").mkdir()
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / "images" / f"{name}.png").write_bytes(content)
    (tmp_path / "labels.csv").write_text("name,label\n" + "".join(f"{n},no tumor\n" for n in "abc"))
    first, same, other = open_captions("brain-labels", tmp_path)
    assert first.case == same.case != other.case


def test_a_label_without_wordings_and_a_table_without_its_columns_are_refused(tmp_path):
    (tmp_path / "labels.csv").write_text("name,label\ny,fracture seen\n")
    with pytest.raises(DatasetError, match="brain-tumour-fracture"):
        open_captions("brain-labels", tmp_path)
    (tmp_path / "metadata.csv").write_text("name\nx\n")
    with pytest.raises(DatasetError, match="filename"):
        open_captions("covid-chest", tmp_path)
