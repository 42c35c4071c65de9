"""Five folds of the masked sets, by patient where names tell, fixed as names before any training.

The table is committed (``folds.csv``); this module writes it once from the file names and reads it ever
after.
"""

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from importlib.resources import files

FOLDS = 5
SHIPPED_WITHOUT = 5
"""The fold that the shipped head never saw."""

SETS = ("breast_ultrasound", "brain_mr", "chest_xray")


def patient_of(name: str) -> str:
    """Return the patient that a file name tells, else the name itself.

    BUS-BRA names carry a case number and a view (``busbra_benign_0847-s``), the chest sets one number per
    patient, BUSI and BRISC nothing: there every image counts as its own patient.
    """
    found = re.fullmatch(r"busbra_[a-z]+_(\d+)-[a-z]", name)
    return f"busbra_{found[1]}" if found else name


def assign(names: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Assign (name, stratum) pairs to folds 1 to 5: patients stay together, strata are spread evenly.

    Within a stratum patients are ordered by SHA-256 of their name and dealt out in turn.
    """
    strata: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, stratum in names:
        strata[stratum][patient_of(name)].append(name)
    folds: dict[str, int] = {}
    turn = 0
    for stratum in sorted(strata):
        patients = strata[stratum]
        for patient in sorted(patients, key=lambda p: hashlib.sha256(p.encode()).hexdigest()):
            for name in patients[patient]:
                folds[name] = turn % FOLDS + 1
            turn += 1
    return folds


def committed() -> dict[tuple[str, str], int]:
    """Return the committed table: (set, name) to fold 1 to 5."""
    text = files("models.align").joinpath("folds.csv").read_text(encoding="utf-8")
    return {(row["set"], row["name"]): int(row["fold"]) for row in csv.DictReader(text.splitlines())}
