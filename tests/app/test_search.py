"""``textseg search`` on toy models: what is tuned on, what is kept, and what comes out."""

import json

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from app.cli import app
from models.presets import preset
from tests.app.toy_bundle import toy_bundle
from tests.models.evaluation.folders import dataset, save, square


@pytest.fixture
def command(monkeypatch):
    monkeypatch.setattr("models.bundles.bundle.load_bundle", toy_bundle)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, ["search", *map(str, arguments)])


@pytest.fixture
def out(tmp_path):
    return tmp_path / "new" / "found.json"


def test_the_settings_found_with_labels_can_be_copied_into_a_task(command, tmp_path, out):
    folder = dataset(tmp_path / "set")
    result = command(folder, "--prompt", "bright", "--tuning", 2, "--count", 2, "--out", out)
    assert result.exit_code == 0, result.output
    record = json.loads(out.read_text())
    assert record["judged_by"] == "dsc"
    assert record["uses_labels"] is True
    assert (len(record["images"]), len(record["trials"])) == (2, 2)
    assert record["bundle_digest"] == toy_bundle().digest
    copied = yaml.safe_load(
        result.stdout[result.stdout.index("method: salip") : result.stdout.index("trials:")]
    )
    assert copied == {"method": "salip", "settings": record["settings"]}
    settings = preset("salip", "recommended", overrides=copied["settings"]).salip
    assert list(settings.area) == record["trials"][record["best"]]["settings"]["area"]


def test_without_labels_other_masks_change_nothing(command, tmp_path, out):
    folder = dataset(tmp_path / "set")
    arguments = (folder, "--prompt", "bright", "--label-free", "--count", 1, "--out")
    result = command(*arguments, out)
    assert result.exit_code == 0, result.output
    assert "No label was used" in result.stdout
    for mask in (folder / "masks").iterdir():
        save(mask, np.zeros_like(square()))
    assert command(*arguments, tmp_path / "other.json").exit_code == 0
    assert out.read_text() == (tmp_path / "other.json").read_text()
    record = json.loads(out.read_text())
    assert (record["judged_by"], record["uses_labels"]) == ("margin", False)
    assert record["images"] == ["a", "b", "c"]


def test_images_without_the_target_are_not_tuned_on(command, tmp_path, out):
    folder = dataset(tmp_path / "set")
    save(folder / "masks" / "b.png", np.zeros_like(square()))
    assert command(folder, "--prompt", "bright", "--count", 1, "--out", out).exit_code == 0
    assert json.loads(out.read_text())["images"] == ["a", "c"]


def test_what_is_evaluated_is_not_tuned_on(command, tmp_path, out):
    """The paper's released search draws its images from the set that it then reports on."""
    folder, judged = dataset(tmp_path / "set"), dataset(tmp_path / "judged", ("other",))
    result = command(folder, "--prompt", "bright", "--evaluated", judged, "--out", out)
    assert result.exit_code == 1
    assert "other is to be evaluated" in result.stderr
    assert not out.exists()


def test_a_second_run_tries_only_what_is_new(command, monkeypatch, tmp_path, out):
    folder = dataset(tmp_path / "set")
    arguments = (folder, "--prompt", "bright", "--tuning", 1, "--out", out)
    assert command(*arguments, "--count", 2).exit_code == 0
    first = json.loads(out.read_text())

    monkeypatch.setattr("models.salip.search.segment_everything", lambda *_: pytest.fail("tried again"))
    assert command(*arguments, "--count", 2).exit_code == 0
    assert json.loads(out.read_text()) == first
    monkeypatch.undo()
    monkeypatch.setattr("models.bundles.bundle.load_bundle", toy_bundle)
    assert command(*arguments, "--count", 3).exit_code == 0
    assert json.loads(out.read_text())["trials"][:2] == first["trials"]


def test_a_file_of_another_search_is_not_overwritten(command, tmp_path, out):
    folder = dataset(tmp_path / "set")
    arguments = (folder, "--tuning", 1, "--count", 1, "--out", out)
    assert command(*arguments, "--prompt", "bright").exit_code == 0
    before = out.read_text()
    result = command(*arguments, "--prompt", "something else")
    assert result.exit_code == 1
    assert "textseg: RUN-MISMATCH: " in result.stderr
    assert out.read_text() == before


def test_a_prompt_task_says_how_many_regions_there_are(command, tmp_path, out):
    folder = dataset(tmp_path / "set")
    result = command(folder, "--prompt-task", "lung-xray", "--tuning", 1, "--count", 1, "--out", out)
    assert result.exit_code == 0, result.output
    assert json.loads(out.read_text())["settings"]["salip"]["k"] == 2


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--prompt", "bright", "--prompt-task", "lung-xray"),
        ("--prompt", "bright", "--label-free", "--tuning", "2"),
        ("--prompt", " "),
        ("--prompt-task", "no-such"),
    ],
)
def test_what_contradicts_itself_or_asks_nothing_is_refused(command, tmp_path, out, options):
    result = command(dataset(tmp_path / "set"), *options, "--out", out)
    assert result.exit_code == 2
    assert result.stdout == ""
