"""``textseg train``: what its options come to; the training itself is tests/models/ensemble/test_train.py."""

import numpy as np
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner

import models.ensemble.train
from app.cli import app
from app.train import Request, recipe_of
from models.ensemble.plan import DEFAULT
from models.ensemble.recipe import Recipe
from models.ensemble.schedule import Cycles
from models.errors import ConfigError


def request(**changes):
    return Request("brain-tumour", data="data", out="out", labels="pseudo", **changes)


def test_without_a_budget_the_recipe_is_the_papers():
    assert recipe_of(request()) == Recipe(Cycles(600, 3, 10, "recommended"), around=0.5, upright=True)


def test_a_budget_has_fewer_epochs_and_members_and_both_can_be_said():
    assert recipe_of(request(budget=5.0)).cycles == Cycles(60, 3, 2)
    said = recipe_of(request(budget=5.0, epochs=30, cycles=2, keep=4, rate="released", bf16=True, seed=7))
    assert said == Recipe(Cycles(30, 2, 4, "released"), around=0.5, upright=True, bf16=True, seed=7)


def test_whole_images_in_any_orientation_are_the_papers_way():
    assert recipe_of(request(whole=True, any_way_up=True)) == Recipe(Cycles())


def test_epochs_that_the_cycles_do_not_divide_are_a_usage_error():
    with pytest.raises(ConfigError, match="100 epochs cannot be divided into 3 cycles"):
        recipe_of(request(epochs=100))


@pytest.fixture
def data(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for number in range(3):
        pixels = np.full((16, 16), 90, np.uint8)
        Pillow.fromarray(pixels).save(tmp_path / "data" / "images" / f"{number}.png")
        Pillow.fromarray((pixels > 0).astype(np.uint8) * 255).save(
            tmp_path / "data" / "masks" / f"{number}.png"
        )
    return tmp_path / "data"


def invoke(*arguments):
    return CliRunner().invoke(app, [str(one) for one in ("train", *arguments)])


@pytest.fixture
def asked(monkeypatch):
    """Return what a training is asked to prepare; there it ends."""
    calls = []

    def prepare(*given):
        calls.append(given)
        raise KeyboardInterrupt

    monkeypatch.setattr(models.ensemble.train, "prepare", prepare)
    return calls


def test_true_masks_the_budget_and_the_device_reach_the_training(data, tmp_path, asked):
    invoke("chest-lungs", "--data", data, "--labels", "truth", "--out", tmp_path / "out", "--budget", 2)
    ((labelled, work, recipe, size, seconds, device),) = asked
    assert [one.name for one in labelled] == ["0", "1", "2"]
    assert (work, size, seconds, device) == (tmp_path / "out" / "work", None, 120.0, "cpu")
    assert recipe.cycles == Cycles(60, 3, 2)
    assert DEFAULT.side == 256


@pytest.mark.parametrize("able", [True, False])
def test_what_is_recorded_is_the_precision_that_computes(data, tmp_path, asked, monkeypatch, able):
    monkeypatch.setattr("models.device.computes_bfloat16", lambda _: able)
    invoke("chest-lungs", "--data", data, "--labels", "truth", "--out", tmp_path / "out", "--bf16")
    ((_, _, recipe, *_),) = asked
    assert recipe.bf16 is able


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("no-such-task",), 2, "chest-lungs"),
        (("chest-lungs", "--epochs", "100"), 2, "cannot be divided"),
        (("chest-lungs",), 1, "textseg pseudo-label"),
    ],
)
def test_what_cannot_be_trained_says_why(data, tmp_path, options, code, said):
    result = invoke(*options, "--data", data, "--out", tmp_path / "out")
    assert result.exit_code == code
    assert said in result.stderr
