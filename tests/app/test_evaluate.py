import json

import numpy as np
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner

import app.evaluate
from app.cli import app as commands
from app.config import load_config
from app.evaluation_request import Request, choose_prompts
from models.errors import ConfigError
from models.evaluation.dataset import open_dataset
from tests.models.evaluation.fake_method import FakeMethod
from tests.models.evaluation.folders import dataset, square


@pytest.fixture
def method(monkeypatch):
    fake = FakeMethod()
    monkeypatch.setattr(app.evaluate, "load_method", lambda _bundle, _config: fake)
    return fake


@pytest.fixture
def command(method):
    runner = CliRunner()
    return lambda *arguments: runner.invoke(
        commands, ["evaluate", *(str(argument) for argument in arguments)]
    )


def test_writes_report_and_masks_and_shows_the_table(command, tmp_path):
    folder, report, masks = dataset(tmp_path / "set"), tmp_path / "new" / "report.json", tmp_path / "masks"
    result = command(folder, "--prompt", "what is bright", "--report", report, "--save-masks", masks)
    assert result.exit_code == 0, result.output
    assert "DSC after components" in result.stdout
    written = json.loads(report.read_text())
    assert written["prompt"] == "what is bright"
    assert written["ensemble"] == "off"
    assert (written["bundle"], written["method"], written["mode"]) == (
        "fake",
        "medclip-sam-v2",
        "recommended",
    )
    assert written["summary"]["dsc"]["mean"] == 1
    assert sorted(path.name for path in masks.iterdir()) == ["a.png", "b.png", "c.png"]
    saved = np.asarray(Pillow.open(masks / "a.png"))
    assert saved.dtype == np.uint8
    assert np.array_equal(saved, square(low=4))


def test_a_refused_image_has_a_row_and_an_empty_mask_of_its_size(command, tmp_path):
    folder = dataset(tmp_path / "set")
    (folder / "images" / "b.png").write_bytes(b"broken")
    result = command(folder, "--prompt", "what is bright", "--json", "--save-masks", tmp_path / "masks")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)["images"]
    assert [row["status"] for row in rows] == ["found", "refused", "found"]
    saved = np.asarray(Pillow.open(tmp_path / "masks" / "b.png"))
    assert saved.shape == (32, 32)
    assert not saved.any()


def test_exits_with_1_when_every_image_is_refused_and_still_reports(command, tmp_path):
    folder = dataset(tmp_path / "set", ("a",))
    (folder / "images" / "a.png").write_bytes(b"broken")
    result = command(folder, "--prompt", "what is bright", "--report", tmp_path / "report.json")
    assert result.exit_code == 1
    assert "PIXELS-UNDECODABLE" in result.stdout
    assert json.loads((tmp_path / "report.json").read_text())["counts"]["refused"] == 1


def test_the_tasks_prompts_are_asked_together(command, method, tmp_path):
    result = command(dataset(tmp_path), "--task", "chest-lungs", "--json")
    assert result.exit_code == 0, result.output
    expected = load_config().task("chest-lungs").targets[0].prompts
    assert method.asked == [expected]
    assert json.loads(result.stdout)["prompts"] == list(expected)


def test_prompts_csv_asks_each_image_its_own_and_prompt_overrides_it(command, method, tmp_path):
    folder = dataset(tmp_path, ("a", "b"))
    (folder / "prompts.csv").write_text("name,prompt\na,what is bright\nb,a unicorn\n")
    own = json.loads(command(folder, "--json").stdout)
    assert [row["status"] for row in own["images"]] == ["found", "nothing-found"]
    assert own["prompt"] == "prompts.csv"
    over = json.loads(command(folder, "--json", "--prompt", "bright").stdout)
    assert [row["status"] for row in over["images"]] == ["found", "found"]


def test_patients_of_groups_csv_are_counted(command, tmp_path):
    folder = dataset(tmp_path, ("a", "b", "c"))
    (folder / "groups.csv").write_text("name,patient\na,p\nb,p\nc,q\n")
    report = json.loads(command(folder, "--prompt", "bright", "--json").stdout)
    assert report["counts"]["patients"] == 2
    assert report["summary"]["dsc"]["patients"] == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--task", "no-such-task"), "chest-lungs"),
        ((), "--prompt"),
        (("--prompt", "x", "--method", "unet"), "medclip-sam-v2"),
        (("--prompt", "x", "--method", "salip", "--mode", "released"), "salip (recommended, paper)"),
        (("--prompt", "x", "--layout", "imagenet"), "busi"),
        (("--prompt", "x", "--baseline", "oracle"), "sam-unprompted"),
        (("--prompt", "x", "--shots", "4"), "--baseline"),
        (("--prompt", "x", "--ablation", "losses"), "components"),
        (("--prompt", "x", "--ablation", "saliency", "--nsd-slab"), "runs its own rows"),
        (("--prompt", "x", "--with", "medsam=x"), "--ablation"),
        (("--prompt", "x", "--ablation", "saliency", "--with", "unet=x"), "ROLE one of"),
        (("--prompt-task", "liver"), "lung-ct"),
        (("--prompt-task", "lung-xray", "--kind", "P3"), "subtypes.csv"),
        (("--prompt", "x", "--ensemble", "on"), "no trained checkpoint ensemble"),
        (("--task", "chest-lungs", "--ensemble", "on"), "chest-lungs has no trained"),
        (("--prompt", ""), "PROMPT-EMPTY"),
        (("--prompt", "x" * 10_000), "PROMPT-TOO-LONG"),
    ],
)
def test_an_impossible_request_exits_with_2_and_says_what_there_is(command, method, tmp_path, options, said):
    result = command(dataset(tmp_path), *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert method.seeds == []


def test_a_data_set_off_its_layout_exits_with_1_and_names_the_file(command, tmp_path):
    (dataset(tmp_path) / "masks" / "b.png").unlink()
    result = command(tmp_path, "--prompt", "bright")
    assert result.exit_code == 1
    assert "DATASET-INVALID" in result.stderr
    assert "b.png" in result.stderr


def test_a_task_with_several_targets_needs_a_prompt(tmp_path):
    task = load_config().task("chest-lungs")
    double = task.model_copy(update={"targets": task.targets * 2})
    opened = open_dataset(dataset(tmp_path))
    with pytest.raises(ConfigError, match="several structures"):
        choose_prompts(opened, Request(), double)
    assert set(choose_prompts(opened, Request(prompt="the left lung"), double).values()) == {
        ("the left lung",)
    }


def test_the_bundle_of_the_option_or_of_the_configuration_is_loaded(monkeypatch):
    import models.bundles.bundle
    import models.method

    loaded = []
    monkeypatch.setattr(models.bundles.bundle, "load_bundle", lambda *arguments: loaded.append(arguments))
    monkeypatch.setattr(models.method, "Method", lambda bundle: bundle)
    config = load_config()
    app.evaluate.load_method("other", config)
    app.evaluate.load_method(None, config)
    assert [reference for reference, *_ in loaded] == ["other", config.models.bundle]
