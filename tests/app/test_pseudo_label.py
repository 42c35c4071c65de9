"""``textseg pseudo-label`` with toy models: labels, confidences, and going on where it stopped."""

import csv
import json

import numpy as np
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner

import models.bundles.bundle
from app.cli import app
from models.evaluation.dataset import open_dataset
from tests.app.toy_bundle import toy_bundle
from tests.models.toy import picture


@pytest.fixture
def command(monkeypatch):
    monkeypatch.setattr(models.bundles.bundle, "load_bundle", toy_bundle)
    return lambda *arguments: CliRunner().invoke(app, [str(one) for one in ("pseudo-label", *arguments)])


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name, boxes in (("bright", [(16, 16, 40, 40)]), ("dull", [])):
        Pillow.fromarray(picture(64, 64, boxes)).save(folder / f"{name}.png")
    return folder


def rows(out):
    with (out / "pseudo-labels.csv").open() as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def test_every_image_gets_a_label_a_confidence_and_a_record_of_what_made_it(command, images, tmp_path):
    out = tmp_path / "out"
    result = command(images, "--out", out, "--prompt", "bright")
    assert result.exit_code == 0, result.output
    assert "confidence" in result.stdout
    found = rows(out)
    assert found["bright"]["code"] == ""
    assert float(found["bright"]["confidence"]) > 0.5
    assert found["dull"]["code"] == "TARGET-ABSENT"
    assert [item.name for item in open_dataset(out).items] == ["bright", "dull"]
    assert json.loads((out / "record.json").read_text())["prompts"] == ["bright"]


def test_a_second_run_asks_nothing_again_and_gives_the_same(command, images, tmp_path, monkeypatch):
    out = tmp_path / "out"
    command(images, "--out", out, "--prompt", "bright")
    before = (out / "pseudo-labels.csv").read_text()
    monkeypatch.setattr("models.method.Method.saliency", None)
    assert command(images, "--out", out, "--prompt", "bright").exit_code == 0
    assert (out / "pseudo-labels.csv").read_text() == before


def test_nothing_found_anywhere_exits_with_1(command, images, tmp_path):
    assert command(images, "--out", tmp_path / "out", "--prompt", "dark matter").exit_code == 1


def test_other_words_do_not_go_into_the_same_folder(command, images, tmp_path):
    command(images, "--out", tmp_path / "out", "--prompt", "bright")
    result = command(images, "--out", tmp_path / "out", "--prompt", "brighter")
    assert result.exit_code == 1
    assert "RUN-MISMATCH" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--task or --prompt"),
        (("--task", "none-such"), "chest-lungs"),
        (("--prompt", ""), "PROMPT-EMPTY"),
    ],
)
def test_an_impossible_request_exits_with_2(command, images, tmp_path, options, said):
    result = command(images, "--out", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert said in result.stderr


def test_an_unreadable_image_is_named(command, images, tmp_path):
    (images / "broken.png").write_bytes(np.zeros(40, np.uint8).tobytes())
    result = command(images, "--out", tmp_path / "out", "--prompt", "bright")
    assert result.exit_code == 1
    assert "broken.png" in result.stderr
