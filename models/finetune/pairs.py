"""Captions for sets that come with a table of findings or labels instead of sentences.

Two layouts are known by their table beside ``images/``: the COVID-19 image data collection (``metadata.csv``)
and brain MR slices with an image-level label (``labels.csv``). Captions say what an image may show: nothing
about the outcome, the laboratory or the days since onset.
"""

import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path

from models.align.concepts import vocabulary
from models.errors import Code, DatasetError

FINDINGS = {
    "COVID-19": "with COVID-19",
    "ARDS": "with acute respiratory distress syndrome",
    "Pneumocystis": "with Pneumocystis pneumonia",
    "No Finding": "without a finding",
}
"""How a finding is said. What the table calls unknown or still to do is not said."""

VIEWS = {
    "PA": "posteroanterior view",
    "AP": "anteroposterior view",
    "AP Supine": "supine anteroposterior view",
}
PERSONS = {"M": "a man", "F": "a woman"}

WITHOUT_TUMOUR = (
    "a brain MRI without a tumor",
    "a normal MRI of the brain",
    "magnetic resonance image of a healthy brain",
    "an axial MR slice of the brain showing no mass",
    "brain MRI, no intracranial lesion is seen",
)

Row = tuple[str, str, str]
"""Image name, caption, patient."""


def chest_caption(row: Mapping[str, str]) -> str:
    """Return the caption of one row of the COVID-19 image data collection: view, person, finding, notes."""
    view = VIEWS.get(row["view"], row["view"])
    words = ["Chest radiograph,", f"{view}," if view else "", "of", PERSONS.get(row["sex"], "a patient")]
    words += [f"aged {row['age']}" if row["age"] else "", FINDINGS.get(row["finding"], "")]
    words.append("in intensive care" if row["in_icu"] == "Y" else "")
    words.append("with a tracheal tube" if row["intubation_present"] == "Y" else "")
    sentence = " ".join(word for word in words if word) + "."
    return f"{sentence} {row['clinical_notes'].strip()}".strip()


def brain_caption(name: str, label: str) -> str:
    """Return one of the wordings of a label, chosen by a hash of the image's name."""
    kind = label.split(maxsplit=1)[0]
    if kind == "no":
        wordings: tuple[str, ...] = WITHOUT_TUMOUR
    else:
        own = vocabulary()[f"brain-tumour-{kind}"]
        wordings = (*own.trained, *own.held_out)
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    return wordings[number % len(wordings)]


def pairs_of(folder: Path) -> list[Row]:
    """Return image, caption and patient of a set in one of the two layouts; images lie in ``images/``.

    Raises DatasetError (DATASET-INVALID) when the folder has neither table, or a label has no wordings.
    """
    if (folder / "metadata.csv").is_file():
        rows = _table(folder / "metadata.csv")
        return [(f"{Path(row['filename']).stem}.png", chest_caption(row), row["patientid"]) for row in rows]
    if not (folder / "labels.csv").is_file():
        raise DatasetError(Code.DATASET_INVALID, f"{folder}: neither metadata.csv nor labels.csv in it")
    try:
        # Nothing tells which slices are of one patient.
        return [
            (f"{row['name']}.png", brain_caption(row["name"], row["label"]), row["name"])
            for row in _table(folder / "labels.csv")
        ]
    except KeyError as error:
        raise DatasetError(
            Code.DATASET_INVALID, f"{folder / 'labels.csv'}: no column or no wordings called {error}"
        ) from error


def write_captions(rows: list[Row], path: Path) -> None:
    """Write a CSV file that :func:`models.finetune.captions.read_captions` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("image", "caption", "patient"))
        writer.writerows(rows)


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: value or "" for name, value in row.items()} for row in csv.DictReader(file)]
