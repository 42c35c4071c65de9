"""``textseg finetune`` and ``textseg evaluate --retrieval`` on a bundle whose encoder is made up here."""

import json
import shutil

import pytest
import torch
import yaml
from typer.testing import CliRunner

import models.bundles.bundle
import models.finetune.start
from app.cli import app as commands
from app.finetune import Request, recipe_of
from models.bundles.bundle import describe, folder_of
from models.encoders.lite import AlignmentHead
from models.errors import ConfigError
from models.finetune.checkpoint import Epoch
from models.finetune.recipe import COMPARED, PAPER, PROJECTION, WHOLE_MODEL
from models.finetune.start import derive_bundle, trainable
from tests.app.toy_bundle import toy_bundle
from tests.models.finetune.toy import ToyModel, coloured
from tests.models.toy import ToyEncoder


class ToyHead(ToyModel):
    """The toy model, whose weights fit into the lite bundle."""

    def weights(self):
        return AlignmentHead().state_dict()


@pytest.fixture
def command(monkeypatch):
    monkeypatch.setattr(models.bundles.bundle, "load_bundle", toy_bundle)
    monkeypatch.setattr(models.finetune.start, "trainable", lambda *_: ToyHead())
    runner = CliRunner()
    return lambda *arguments: runner.invoke(commands, [str(argument) for argument in arguments])


@pytest.fixture
def pairs(tmp_path):
    coloured(tmp_path, 12)
    return tmp_path / "captions.csv", tmp_path / "images"


def options(pairs, out, *more):
    return ("finetune", pairs[0], "--images", pairs[1], "--out", out, "--epochs", 2, "--batch", 5, *more)


def test_weights_recipe_and_a_bundle_come_out_and_every_epoch_is_shown(command, pairs, tmp_path):
    out = tmp_path / "out"
    result = command(*options(pairs, out, "--loss", "dcl", "--mode", "paper", "--seed", 3))
    assert result.exit_code == 0, result.output
    assert "t2i top-2" in result.stdout
    assert str(out / "bundle").replace("\n", "") in result.stdout.replace("\n", "")
    recipe = json.loads((out / "recipe.json").read_text())["recipe"]
    assert (recipe["loss"], recipe["mode"], recipe["seed"], recipe["rate"]) == ("dcl", "paper", 3, 1e-6)
    assert (out / "bundle" / "bundle.yaml").is_file()


def test_a_second_run_needs_resume_and_the_same_recipe(command, pairs, tmp_path):
    out = tmp_path / "out"
    assert command(*options(pairs, out)).exit_code == 0
    refused = command(*options(pairs, out))
    assert refused.exit_code == 1
    assert "RUN-MISMATCH" in refused.stderr
    assert command(*options(pairs, out, "--resume")).exit_code == 0
    assert "recipe" in command(*options(pairs, out, "--resume", "--rate", 0.5)).stderr


def test_the_losses_are_compared_in_tables_and_json(command, pairs, tmp_path):
    out = tmp_path / "out"
    result = command(*options(pairs, out, "--compare-losses", "--seeds", 2))
    assert result.exit_code == 0, result.output
    told = json.loads((out / "comparison.json").read_text())
    assert [row["loss"] for row in told["losses"]] == ["untrained", *COMPARED]
    text = (out / "comparison.md").read_text()
    assert text.count("| dhn-nce |") == 3
    assert " to " in text


def test_bad_captions_exit_with_1_and_the_line(command, pairs, tmp_path):
    pairs[0].write_text("image,caption\n0.png,\n")
    result = command(*options(pairs, tmp_path / "out"))
    assert result.exit_code == 1
    assert "captions.csv:2: no caption" in result.stderr


def test_evaluate_retrieval_prints_the_table_or_json(command, pairs, tmp_path):
    shown = command("evaluate", "--retrieval", pairs[0], "--images", pairs[1])
    assert shown.exit_code == 0, shown.output
    assert "image to text" in shown.stdout
    report = tmp_path / "new" / "report.json"
    told = command("evaluate", "--retrieval", pairs[0], "--images", pairs[1], "--json", "--report", report)
    found = json.loads(told.stdout)
    assert found == json.loads(report.read_text())
    assert (found["pairs"], found["settings"]) == (12, {"group": 50, "runs": 5, "seed": 0})
    assert 0 <= found["strict"]["image_to_text"]["top1"] <= found["strict"]["image_to_text"]["top2"] <= 1


def test_retrieval_takes_no_data_set_of_masks(command, pairs, tmp_path):
    result = command("evaluate", tmp_path, "--retrieval", pairs[0])
    assert result.exit_code == 2
    assert "give no data set" in result.stderr


def test_the_recipe_is_the_modes_with_what_the_options_change(tmp_path):
    plain = Request(tmp_path, tmp_path)
    assert recipe_of(plain, projections_only=True) == PROJECTION
    assert recipe_of(plain, projections_only=False) == WHOLE_MODEL
    paper = Request(tmp_path, tmp_path, mode="paper", epochs=3)
    assert recipe_of(paper, projections_only=True).epochs == 3
    assert recipe_of(paper, projections_only=True).rate == PAPER.rate
    with pytest.raises(ConfigError, match="batches of at least 2"):
        recipe_of(Request(tmp_path, tmp_path, batch=1), projections_only=True)


def test_an_encoder_that_cannot_be_trained_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="ToyEncoder cannot be fine-tuned"):
        trainable(ToyEncoder(), tmp_path)


def test_a_derived_bundle_names_its_head_by_hash_and_origin_and_keeps_the_rest(tmp_path):
    from safetensors.torch import save_file

    source, weights, recipe = folder_of("lite"), tmp_path / "best.safetensors", tmp_path / "recipe.json"
    with torch.random.fork_rng():
        save_file(AlignmentHead().state_dict(), weights)
    recipe.write_text("{}")
    folder = derive_bundle(source, weights, recipe, tmp_path / "bundle")
    old, new = describe(source), describe(folder)
    entry = new["files"]["alignment-head"]
    assert (folder / entry["path"]).read_bytes() == weights.read_bytes()
    assert entry["sha256"] != old["files"]["alignment-head"]["sha256"]
    assert "textseg finetune" in entry["source"]
    assert new["name"] == "lite-finetuned"
    unchanged = {role: file for role, file in new["files"].items() if role != "alignment-head"}
    assert unchanged == {role: file for role, file in old["files"].items() if role != "alignment-head"}
    assert new["settings"] == old["settings"]


def test_a_derived_bundle_of_another_encoder_replaces_the_encoder(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "encoder.safetensors").write_bytes(b"old")
    (source / "vocab.txt").write_bytes(b"words")
    files = {
        "encoder": {"path": "encoder.safetensors", "sha256": "a" * 64, "source": "elsewhere"},
        "tokenizer": {"path": "vocab.txt", "sha256": "b" * 64},
    }
    (source / "bundle.yaml").write_text(yaml.safe_dump({"name": "big", "files": files}, sort_keys=False))
    weights, recipe = tmp_path / "best.safetensors", tmp_path / "recipe.json"
    weights.write_bytes(b"new")
    recipe.write_text("{}")
    folder = derive_bundle(source, weights, recipe, tmp_path / "bundle")
    entry = describe(folder)["files"]["encoder"]
    assert (folder / entry["path"]).read_bytes() == b"new"
    assert (folder / "vocab.txt").read_bytes() == b"words"
    assert not (folder / "encoder.safetensors").exists()
    shutil.rmtree(source)
    assert describe(folder)["name"] == "big-finetuned"


def test_an_unjudged_epoch_has_empty_cells():
    from app.finetune import _judged

    assert _judged(Epoch(1, 0.5)) == ["", "", "", ""]
