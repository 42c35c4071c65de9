"""The ensembles that come with ``lite``: for which prompts, and that they learnt from no mask of a person."""

import csv

import pytest

from app.config import load_config
from models.align.folds import SHIPPED_WITHOUT, committed
from models.bundles.bundle import describe, folder_of
from models.ensemble.export import NAMES
from models.ensemble.record import read_record

FOLDER = folder_of("lite")
ENTRIES = describe(FOLDER)["ensembles"]


def names(entry):
    with (FOLDER / entry["path"] / NAMES).open(encoding="utf-8") as file:
        return {row["name"] for row in csv.DictReader(file)}


def test_brain_tumours_and_lungs_have_one():
    assert {read_record(FOLDER / entry["path"]).task for entry in ENTRIES} == {"brain-tumour", "chest-lungs"}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["path"])
def test_its_files_are_those_that_the_bundle_names(entry):
    record = read_record(FOLDER / entry["path"])
    assert record.digest == entry["sha256"]
    assert record.labels == "pseudo"
    assert len(record.members) >= 4
    assert sum(member.path.stat().st_size for member in record.members) < 8e6


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["path"])
def test_it_answers_the_prompts_of_its_task(entry):
    record = read_record(FOLDER / entry["path"])
    task = load_config(site=None).task(record.task)
    assert record.answers(task.targets[0].prompts, task.method)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["path"])
def test_the_head_that_labelled_its_images_saw_no_mask_of_them(entry):
    seen = {name for (_, name), fold in committed().items() if fold != SHIPPED_WITHOUT}
    labelled = names(entry)
    assert len(labelled) > 100
    assert labelled.isdisjoint(seen)
