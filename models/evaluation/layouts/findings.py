"""Captions for data sets that come with a table of findings or labels instead of sentences.

They say what an image may show: nothing about the outcome, the laboratory or the days since onset.
"""

import csv
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from models.align.concepts import vocabulary
from models.errors import Code, DatasetError
from models.evaluation.layouts.captions import Captioned

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


def covid_chest(folder: Path) -> tuple[Captioned, ...]:
    """Read the COVID-19 image data collection: ``metadata.csv`` and ``images/NAME.png``.

    The case is the patient. Images may have been converted: a name's ending in the table does not count.
    Raises DatasetError (DATASET-INVALID).
    """
    return _captioned(
        folder / "metadata.csv",
        lambda row: Captioned(_png(folder, Path(row["filename"]).stem), chest_caption(row), row["patientid"]),
    )


def brain_labels(folder: Path) -> tuple[Captioned, ...]:
    """Read brain MR slices with a label each: ``labels.csv`` (name, label) and ``images/NAME.png``.

    The label is glioma, meningioma or pituitary tumor, or no tumor. Nothing tells which slices are of one
    patient: every image is a case of its own, but for files that are identical. Raises DatasetError
    (DATASET-INVALID).
    """

    def of_row(row: Mapping[str, str]) -> Captioned:
        image = _png(folder, row["name"])
        case = hashlib.sha256(image.read_bytes()).hexdigest() if image.is_file() else row["name"]
        return Captioned(image, brain_caption(row["name"], row["label"]), case)

    return _captioned(folder / "labels.csv", of_row)


def _png(folder: Path, stem: str) -> Path:
    return folder / "images" / f"{stem}.png"


def _captioned(table: Path, of_row: Callable[[Mapping[str, str]], Captioned]) -> tuple[Captioned, ...]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = [{name: value or "" for name, value in row.items()} for row in csv.DictReader(file)]
        return tuple(of_row(row) for row in rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            Code.DATASET_INVALID, f"{table}: cannot be read as CSV in UTF-8 ({error})"
        ) from error
    except KeyError as error:
        raise DatasetError(
            Code.DATASET_INVALID, f"{table}: no column or no wordings called {error}"
        ) from error
