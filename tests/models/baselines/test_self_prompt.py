"""Self-Prompt-SAM on a toy embedding in which the target is what is bright."""

import numpy as np
import pytest

from models.baselines.self_prompt import SelfPromptSam, learn, prompt_of
from models.errors import Code, DatasetError
from models.evaluation.metrics import dice
from models.labelled import Labelled
from tests.models.baselines.stubs import Sam, context
from tests.models.toy import picture

BOX = (32, 16, 80, 64)
SIZE = (96, 128)


def shot(name: str, size: tuple[int, int], box: tuple[int, int, int, int]) -> Labelled:
    mask = np.zeros(size, bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return Labelled(name, picture(*size, [box]), mask)


SUPPORT = (shot("a", (64, 64), (8, 8, 40, 30)), shot("b", (128, 64), (10, 70, 50, 120)))


def target() -> np.ndarray:
    return shot("target", SIZE, BOX).mask


def test_a_linear_rule_is_found_and_holds_on_an_oblong_image() -> None:
    sam = Sam()
    square = np.pad(picture(*SIZE, [BOX]), ((0, 32), (0, 0), (0, 0)))
    coarse = learn(sam, SUPPORT).mask(sam, square)
    assert coarse.shape == (128, 128)
    assert (coarse[:96] == target()).all()
    assert not coarse[96:].any()


def test_the_prompt_finds_the_target() -> None:
    mask = SelfPromptSam().segment(picture(*SIZE, [BOX]), context(Sam(), support=SUPPORT))
    assert isinstance(mask, np.ndarray)
    assert mask.shape == SIZE
    assert mask[target()].all()
    overlap = dice(mask, target())
    assert overlap is not None
    assert overlap > 0.5


def test_every_image_is_embedded_as_a_square() -> None:
    sam = Sam()
    SelfPromptSam().segment(picture(*SIZE, [BOX]), context(sam, support=SUPPORT))
    assert {shape[0] == shape[1] for shape in sam.embedded} == {True}


def test_the_support_set_is_learnt_once() -> None:
    sam, one = Sam(), SelfPromptSam()
    here = context(sam, support=SUPPORT)
    one.segment(picture(*SIZE, [BOX]), here)
    before = len(sam.embedded)
    one.segment(picture(*SIZE, [BOX]), here)
    assert len(sam.embedded) - before == before - len(SUPPORT)
    one.segment(picture(*SIZE, [BOX]), context(Sam(), support=SUPPORT))
    again = Sam()
    one.segment(picture(*SIZE, [BOX]), context(again, support=SUPPORT[:1]))
    assert len(again.embedded) == before - 1


@pytest.mark.parametrize(
    ("visual", "has_box", "points"), [("box", True, 0), ("point", False, 1), ("both", True, 1)]
)
def test_each_of_the_three_prompts(visual: str, has_box: bool, points: int) -> None:
    sam = Sam()
    SelfPromptSam(visual).segment(picture(*SIZE, [BOX]), context(sam, support=SUPPORT))
    [prompt] = sam.asked
    assert (prompt.box is not None) == has_box
    assert len(prompt.points) == points


def test_a_segmenter_of_boxes_only_gets_the_box_and_the_report_says_so() -> None:
    sam = Sam(understands=frozenset({"boxes"}))
    one = SelfPromptSam("both")
    one.segment(picture(*SIZE, [BOX]), context(sam, support=SUPPORT))
    assert [(prompt.box is not None, prompt.points) for prompt in sam.asked] == [(True, ())]
    assert "got a box there" in one.statement(sam)
    assert "a box and a point" in one.statement(Sam())


def test_the_point_is_the_deepest_pixel_x_first() -> None:
    coarse = np.zeros((40, 90), bool)
    coarse[5:26, 60:81] = True
    coarse[15, 10:60] = True
    [point] = prompt_of(coarse, "point", np.random.default_rng(0)).points
    assert (point.x, point.y, point.inside) == (70.0, 15.0, True)


def test_the_box_is_pushed_out_by_less_than_twenty_pixels_and_loses_specks() -> None:
    coarse = np.zeros((200, 300), bool)
    coarse[60:120, 90:180] = True
    coarse[5:9, 5:9] = True
    opened = (90 - 4, 60 - 4, 180 + 4, 120 + 4)
    for seed in range(20):
        box = prompt_of(coarse, "box", np.random.default_rng(seed)).box
        assert box is not None
        pushes = np.array([opened[0] - box[0], opened[1] - box[1], box[2] - opened[2], box[3] - opened[3]])
        assert (pushes >= 0).all()
        assert (pushes < 20).all()


def test_the_box_is_clipped_to_an_oblong_image() -> None:
    """The released fallback box confuses height and width."""
    coarse = np.ones((40, 90), bool)
    for seed in range(5):
        assert prompt_of(coarse, "box", np.random.default_rng(seed)).box == (0.0, 0.0, 90.0, 40.0)


def test_what_is_too_thin_for_the_erosions_keeps_its_own_box() -> None:
    coarse = np.zeros((200, 200), bool)
    coarse[100:103, 50:150] = True
    box = prompt_of(coarse, "box", np.random.default_rng(0)).box
    assert box is not None
    assert 30 < box[0] <= 50
    assert 103 <= box[3] < 123


def test_the_seed_decides_the_box() -> None:
    """The released code pushes the sides out with an unseeded generator, so that results vary."""
    boxes = []
    for seed in (1, 1, 2):
        sam = Sam()
        SelfPromptSam().segment(picture(*SIZE, [BOX]), context(sam, support=SUPPORT, seed=seed))
        boxes.append(sam.asked[0].box)
    assert boxes[0] == boxes[1] != boxes[2]


def test_where_no_place_looks_like_the_target_there_is_no_whole_image_box() -> None:
    """The released code falls back to a box around the whole image."""
    sam = Sam()
    assert SelfPromptSam().segment(picture(*SIZE, []), context(sam, support=SUPPORT)) == Code.NO_COMPONENT
    assert sam.asked == []


@pytest.mark.parametrize(("value", "word"), [(False, "nowhere"), (True, "everywhere")])
def test_a_support_set_that_teaches_nothing_is_refused(value: bool, word: str) -> None:
    dull = Labelled("dull", picture(32, 32, []), np.full((32, 32), value))
    with pytest.raises(DatasetError, match=word) as refused:
        learn(Sam(), [dull])
    assert refused.value.code == Code.DATASET_INVALID
