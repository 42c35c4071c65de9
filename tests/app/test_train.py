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


def test_true_masks_and_the_budget_reach_the_training(data, tmp_path, monkeypatch):
    asked = []

    def prepare(labelled, work, recipe, size, seconds):
        asked.append((labelled, work, recipe, size, seconds))
        raise KeyboardInterrupt

    monkeypatch.setattr(models.ensemble.train, "prepare", prepare)
    invoke("chest-lungs", "--data", data, "--labels", "truth", "--out", tmp_path / "out", "--budget", 2)
    ((labelled, work, recipe, size, seconds),) = asked
    assert [one.name for one in labelled] == ["0", "1", "2"]
    assert (work, size, seconds) == (tmp_path / "out" / "work", None, 120.0)
    assert recipe.cycles == Cycles(60, 3, 2)
    assert DEFAULT.side == 256


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
