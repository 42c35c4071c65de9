"""One head per fold: kept by recipe and fold, never trained twice, the shipped one among them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import models.align.heads
from models.align.features import Features
from models.align.folds import FOLDS, SHIPPED_WITHOUT
from models.align.heads import Heads, head_path, head_without, read_head, train_head
from models.align.train import PHASES
from models.bundles.bundle import verify
from models.encoders.lite import AlignmentHead


def nothing() -> Sequence[Features]:
    raise AssertionError("features were computed for a head that is there")


def features() -> list[Features]:
    pyramid, none = torch.zeros(864, 32, 32), frozenset[str]()
    return [Features("chest_xray", str(fold), 0, fold, pyramid, {}, none, none, 32, 32) for fold in (1, 2, 3)]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The names of what each phase learnt from; its head is the one before, with 1 added to a parameter."""
    seen = []

    def train(used, encode, recipe, progress, head, bf16):
        seen.append([item.name for item in used])
        head = head or AlignmentHead()
        head.bias.data += 1.0
        return head

    monkeypatch.setattr(models.align.heads, "train", train)
    return seen


def test_a_head_goes_through_all_phases_without_its_fold_and_is_trained_once(
    trained: list[list[str]], tmp_path: Path
) -> None:
    path = train_head(features, 2, Heads(tmp_path), lambda epoch, loss: None)
    assert trained == [["1", "3"]] * len(PHASES)
    assert float(read_head(path).bias) == float(AlignmentHead().bias) + len(PHASES)
    assert train_head(nothing, 2, Heads(tmp_path), lambda epoch, loss: None) == path
    assert len(trained) == len(PHASES)


def test_a_phase_that_was_finished_is_not_trained_again(trained: list[list[str]], tmp_path: Path) -> None:
    train_head(features, 2, Heads(tmp_path), lambda epoch, loss: None).unlink()
    train_head(features, 2, Heads(tmp_path), lambda epoch, loss: None)
    assert len(trained) == len(PHASES) + 1


def test_another_recipe_or_fold_is_another_file(tmp_path: Path) -> None:
    other = (*PHASES[:-1], replace(PHASES[-1], seed=7))
    paths = {head_path(tmp_path, phases, fold) for phases in (PHASES, other) for fold in (1, 2)}
    assert len(paths) == 4


def test_the_repository_brings_the_heads_that_its_recipe_trains() -> None:
    folder = Path(models.align.heads.__file__).parent / "trained"
    expected = {head_path(folder, PHASES, fold) for fold in range(1, FOLDS + 1) if fold != SHIPPED_WITHOUT}
    assert set(folder.glob("*.safetensors")) == expected
    assert all(float(read_head(path).scale) > 0 for path in expected)


def test_the_shipped_head_is_the_one_without_its_fold(tmp_path: Path) -> None:
    shipped = head_without(nothing, SHIPPED_WITHOUT, Heads(tmp_path), lambda epoch, loss: None)
    assert shipped == verify("lite")["alignment-head"]
