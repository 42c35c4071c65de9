import json

import numpy as np
import pytest
from PIL import Image as Pillow

from models.bundles.bundle import Bundle
from models.ensemble.pseudo_label import PseudoLabel, confidence, pseudo_labels
from models.ensemble.pseudo_set import RECORD, TABLE, add, begin, believed, read_rows, source_images
from models.errors import Code, DatasetError, PromptError
from models.evaluation.dataset import open_dataset
from models.method import Method
from models.placement import Placement
from models.stages import Members, Saliency, Vote
from models.uncertainty import agree
from tests.models.toy import BoxSegmenter, ToyEncoder, picture

PLACE = Placement.whole(8, 8, 4, 4)


@pytest.fixture
def method():
    return Method(Bundle("toy", "0", "d" * 64, ToyEncoder(), BoxSegmenter(), (), {"relevance_tokens": 0.05}))


def saliency(relevance: float | None, status: Code | None = None) -> Saliency:
    return Saliency(np.zeros((0, 4, 4), np.float32), relevance, PLACE, status)


def members(*levels: float) -> Members:
    maps = np.zeros((len(levels), 8, 8), np.float32)
    for one, level in zip(maps, levels, strict=True):
        one[2:6, 2:6] = level
    return Members(maps)


def vote(of: Members) -> Vote:
    return Vote.of(agree(of.probability), len(of.probability))


def test_members_that_agree_are_believed_as_far_as_the_prompt_is_relevant():
    same = members(1.0, 1.0)
    assert confidence(saliency(0.8), same, vote(same)) == pytest.approx(0.8)
    assert confidence(saliency(None), same, vote(same)) == pytest.approx(1.0)


def test_members_that_disagree_are_believed_less():
    same, split = members(0.9, 0.9, 0.9, 0.9), members(0.9, 0.9, 0.9, 0.1)
    assert confidence(saliency(1.0), split, vote(split)) < confidence(saliency(1.0), same, vote(same))


def test_an_absent_target_is_believed_as_far_as_it_is_absent_and_a_failed_stage_not_at_all():
    none = Members(np.zeros((0, 8, 8), np.float32), Code.TARGET_ABSENT)
    absent = Vote.nothing((8, 8), Code.TARGET_ABSENT)
    assert confidence(saliency(0.1, Code.TARGET_ABSENT), none, absent) == pytest.approx(0.9)
    assert confidence(saliency(0.9), none, Vote.nothing((8, 8), Code.NO_COMPONENT)) == 0.0


def test_the_methods_own_mask_is_the_label_and_its_silence_an_empty_one(method):
    image = picture(64, 64, [(16, 16, 40, 40)])
    (found,) = pseudo_labels([("a", image)], method, ["bright"])
    (silent,) = pseudo_labels([("a", image)], method, ["dark matter"])
    assert found.mask[28, 28]
    assert found.code is None
    assert 0.5 < found.confidence <= 1.0
    assert not silent.mask.any()
    assert silent.code is Code.TARGET_ABSENT
    assert silent.uncertainty is None


def test_an_empty_prompt_is_refused_before_any_image(method):
    with pytest.raises(PromptError):
        next(pseudo_labels([], method, [""]))


def written(folder, name="a", **changes):
    image = folder / f"{name}.png"
    Pillow.fromarray(np.full((8, 8), 90, np.uint8)).save(image)
    values = {"mask": np.eye(8, dtype=bool), "code": None, "confidence": 0.7, "uncertainty": 0.2} | changes
    return image, PseudoLabel(name, **values)


def test_a_folder_of_labels_is_a_data_set_and_goes_on_where_it_stopped(tmp_path):
    out = tmp_path / "out"
    assert begin(out, {"bundle": "toy"}, tmp_path / "groups.csv") == {}
    add(out, *written(tmp_path))
    again = begin(out, {"bundle": "toy"}, tmp_path / "groups.csv")
    assert again["a"].confidence == pytest.approx(0.7)
    assert json.loads((out / RECORD).read_text()) == {"bundle": "toy"}
    (item,) = open_dataset(out).items
    assert (item.truth() == np.eye(8, dtype=bool)).all()


def test_labels_of_another_bundle_are_not_mixed_in(tmp_path):
    begin(tmp_path / "out", {"bundle": "toy"}, tmp_path / "groups.csv")
    with pytest.raises(DatasetError) as error:
        begin(tmp_path / "out", {"bundle": "other"}, tmp_path / "groups.csv")
    assert error.value.code is Code.RUN_MISMATCH


def test_a_line_that_was_cut_off_is_not_a_row(tmp_path):
    out = tmp_path / "out"
    begin(out, {}, tmp_path / "groups.csv")
    add(out, *written(tmp_path))
    with (out / TABLE).open("a") as file:
        file.write("b,TARGET-ABS")
    assert [row.name for row in read_rows(out)] == ["a"]


def test_the_threshold_leaves_out_what_is_not_believed_and_keeps_what_is_surely_absent(tmp_path):
    out = tmp_path / "out"
    begin(out, {}, tmp_path / "groups.csv")
    empty = np.zeros((8, 8), bool)
    add(out, *written(tmp_path, "sure", confidence=0.9))
    add(out, *written(tmp_path, "doubtful", confidence=0.4))
    add(
        out,
        *written(tmp_path, "absent", mask=empty, code=Code.TARGET_ABSENT, confidence=0.95, uncertainty=None),
    )
    assert [one.name for one in believed(out, 0.5)] == ["absent", "sure"]
    with pytest.raises(DatasetError, match="lower --least-confidence"):
        believed(out, 0.99)


def test_a_folder_without_a_table_says_how_to_get_one(tmp_path):
    with pytest.raises(DatasetError, match="textseg pseudo-label"):
        list(read_rows(tmp_path))


def test_images_are_read_from_the_folder_or_from_images_in_it(tmp_path):
    written(tmp_path)
    assert [path.name for path in source_images(tmp_path)] == ["a.png"]
    (tmp_path / "images").mkdir()
    written(tmp_path / "images", "b")
    assert [path.name for path in source_images(tmp_path)] == ["b.png"]
