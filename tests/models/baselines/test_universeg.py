"""The wrapper of UniverSeg, with a network of our own in the place of the package."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.baselines.universeg import MOST, UniverSegBaseline, load, pixels
from models.errors import Code, ModelError
from models.labelled import Labelled
from tests.models.baselines.stubs import context
from tests.models.toy import BoxSegmenter, picture

BOX = (30, 10, 60, 40)


class Network(nn.Module):
    """Marks what is as bright as the support's targets are on average; keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(1.0))
        self.shown: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, target: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        self.shown.append((target, images, labels))
        bright = (images * labels).sum() / labels.sum().clamp_min(1)
        return self.sharpness * (target - 0.5 * bright)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights file of a network that the fake package builds."""
    package, model = ModuleType("universeg"), ModuleType("universeg.model")
    model.universeg = lambda pretrained: Network()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "universeg", package)
    monkeypatch.setitem(sys.modules, "universeg.model", model)
    path = tmp_path / "universeg.pt"
    torch.save({"sharpness": torch.tensor(50.0)}, path)
    return path


def shots(count: int) -> tuple[Labelled, ...]:
    mask = np.zeros((64, 48), bool)
    mask[5:20, 5:30] = True
    return tuple(Labelled(f"s{index:03}", picture(64, 48, [(5, 5, 30, 20)]), mask) for index in range(count))


def test_the_target_is_found_on_the_pixels_of_an_oblong_image(weights: Path) -> None:
    mask = UniverSegBaseline(weights).segment(picture(64, 100, [BOX]), context(support=shots(3)))
    truth = np.zeros((64, 100), bool)
    truth[BOX[1] : BOX[3], BOX[0] : BOX[2]] = True
    assert isinstance(mask, np.ndarray)
    assert mask.shape == (64, 100)
    assert (mask != truth).mean() < 0.03


def test_the_network_is_shown_what_it_was_trained_on(weights: Path) -> None:
    one = UniverSegBaseline(weights)
    one.segment(picture(64, 100, [BOX]), context(support=shots(3)))
    [(target, images, labels)] = one._network.shown  # type: ignore[union-attr]
    assert target.shape == (1, 1, 128, 128)
    assert images.shape == labels.shape == (1, 3, 1, 128, 128)
    for values in (target, images, labels):
        assert (float(values.min()), float(values.max())) == (0.0, 1.0)
    assert set(labels.unique().tolist()) == {0.0, 1.0}


def test_a_constant_image_is_no_division_by_zero() -> None:
    assert (pixels(np.full((9, 7, 3), 80, np.uint8)) == 0).all()


def test_more_support_than_the_network_takes_is_drawn_by_the_seed(weights: Path) -> None:
    support = tuple(
        Labelled(f"s{index:03}", picture(64, 80, [(index, 5, 80, 20)]), np.ones((64, 80), bool))
        for index in range(MOST + 16)
    )
    drawn = []
    for seed in (1, 1, 2):
        one = UniverSegBaseline(weights)
        one.segment(picture(64, 100, [BOX]), context(support=support, seed=seed))
        drawn.append(one._network.shown[0][1])  # type: ignore[union-attr]
    assert drawn[0].shape[1] == MOST
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_nothing_found_is_a_code(weights: Path) -> None:
    answer = UniverSegBaseline(weights).segment(picture(64, 100, []), context(support=shots(2)))
    assert answer == Code.NO_MASK


def test_without_the_package_the_error_says_what_to_get(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "universeg", None)
    monkeypatch.setitem(sys.modules, "universeg.model", None)
    with pytest.raises(ModelError, match=r"JJGO/UniverSeg.*universeg_v1_nf64_ss64_STA\.pt") as refused:
        load(None)
    assert refused.value.code == Code.MODEL_MISSING


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("path", [None, Path("no-such-file.pt")])
def test_without_the_weights_the_error_says_what_to_get(path: Path | None) -> None:
    with pytest.raises(ModelError, match=r"universeg_v1_nf64_ss64_STA\.pt") as refused:
        load(path)
    assert refused.value.code == Code.MODEL_MISSING


class Exploding:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("the pickle ran",))


def test_a_pickle_with_code_is_not_run(weights: Path) -> None:
    torch.save({"sharpness": Exploding()}, weights)
    with pytest.raises(ModelError) as refused:
        load(weights)
    assert refused.value.code == Code.BUNDLE_INVALID


def test_weights_of_another_network_are_refused(weights: Path) -> None:
    torch.save({"other": torch.zeros(1)}, weights)
    with pytest.raises(ModelError) as refused:
        load(weights)
    assert refused.value.code == Code.BUNDLE_INVALID


def test_the_report_says_that_neither_text_nor_segmenter_was_used() -> None:
    assert "neither text nor segmenter" in UniverSegBaseline(None).statement(BoxSegmenter())
