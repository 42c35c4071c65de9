import numpy as np
import pytest

from models.errors import Code, PromptError
from models.evaluation.dataset import open_dataset
from models.evaluation.run import evaluate, statuses
from tests.models.evaluation.fake_method import REFUSED_PIXEL, FakeMethod
from tests.models.evaluation.folders import dataset, save, square

BRIGHT = ("what is bright",)


def run(folder, prompts=BRIGHT, method=None, base_seed=0):
    opened = open_dataset(folder)
    asked = {item.name: prompts for item in opened.items}
    return list(evaluate(opened, asked, method or FakeMethod(), base_seed))


def test_an_image_whose_target_is_found_scores_by_its_mask(tmp_path):
    (scored, answer), *_ = run(dataset(tmp_path))
    row = scored.row
    assert (row.name, row.status, row.code) == ("a", "found", None)
    assert (row.dsc, row.nsd, row.iou, row.auc) == (1, pytest.approx(1), 1, 1)
    assert row.foreground_fraction == (square(low=4) > 0).mean()
    assert row.uncertainty == 0.25
    assert np.array_equal(answer.mask, square(low=4) > 0)


def test_nothing_found_where_something_is_scores_zero_and_not_null(tmp_path):
    (scored, answer), *_ = run(dataset(tmp_path), ("a unicorn",))
    row = scored.row
    assert (row.status, row.code) == ("nothing-found", Code.TARGET_ABSENT)
    assert (row.dsc, row.nsd, row.iou, row.auc) == (0, 0, 0, 0.5)
    assert row.foreground_fraction == 0
    assert row.uncertainty is None
    assert not answer.mask.any()
    assert (scored.stages.map, scored.stages.components, scored.stages.sam) == (0, 0, 0)


def test_a_map_without_a_component_keeps_its_auc(tmp_path):
    save(tmp_path / "images" / "dim.png", square() // 3)
    save(tmp_path / "masks" / "dim.png", square())
    ((scored, _),) = run(tmp_path)
    assert scored.row.code is Code.NO_COMPONENT
    assert (scored.row.auc, scored.row.dsc) == (1, 0)
    assert (scored.stages.map, scored.stages.components, scored.stages.sam) == (1, 0, 0)


def test_an_empty_truth_gives_null_scores_and_a_foreground_fraction(tmp_path):
    save(tmp_path / "images" / "x.png", square())
    save(tmp_path / "masks" / "x.png", np.zeros((32, 32), dtype=np.uint8))
    ((scored, _),) = run(tmp_path)
    row = scored.row
    assert (row.dsc, row.nsd, row.iou, row.auc) == (None, None, None, None)
    assert row.status == "found"
    assert row.foreground_fraction > 0
    assert scored.absent
    assert scored.stages.map is None


def test_an_unreadable_image_is_a_refused_row_that_scores_zero(tmp_path):
    dataset(tmp_path)
    (tmp_path / "images" / "b.png").write_bytes(b"\x89PNG broken")
    first, (scored, answer), last = run(tmp_path)
    assert (scored.row.status, scored.row.code) == ("refused", Code.PIXELS_UNDECODABLE)
    assert (scored.row.dsc, scored.row.foreground_fraction) == (0, 0)
    assert answer.mask.shape == (32, 32)
    assert "b.png" in scored.reason
    assert first[0].row.status == last[0].row.status == "found"


def test_an_image_that_the_method_refuses_is_a_refused_row_with_its_code(tmp_path):
    pixels = square()
    pixels[0, 0] = REFUSED_PIXEL
    save(dataset(tmp_path) / "images" / "b.png", pixels)
    scored = [image for image, _ in run(tmp_path)]
    assert scored[1].row.code is Code.PIXELS_MISSING
    assert statuses(scored) == {"found": 2, "nothing-found": 0, "refused": 1}


def test_stages_are_scored_separately(tmp_path):
    (scored, _), *_ = run(dataset(tmp_path), method=FakeMethod(margin=3))
    assert scored.stages.map == scored.stages.components == 1
    assert scored.stages.sam == scored.row.dsc < 1


def test_seeds_follow_pixels_prompt_and_base_seed(tmp_path):
    dataset(tmp_path)

    def seeds(prompts=BRIGHT, base_seed=0):
        method = FakeMethod()
        run(tmp_path, prompts, method, base_seed)
        return method.seeds

    assert seeds() == seeds()
    assert len(set(seeds())) == 3
    assert set(seeds()).isdisjoint(seeds(("bright things",)))
    assert set(seeds()).isdisjoint(seeds(base_seed=1))


def test_equal_prompts_are_encoded_once_and_before_the_first_image(tmp_path):
    method = FakeMethod()
    run(dataset(tmp_path), method=method)
    assert method.asked == [BRIGHT]


@pytest.mark.parametrize("prompt", ["", "   ", "x" * 10_000])
def test_an_unusable_prompt_is_an_error_before_any_image(tmp_path, prompt):
    method = FakeMethod()
    opened = open_dataset(dataset(tmp_path))
    with pytest.raises(PromptError):
        evaluate(opened, {item.name: (prompt,) for item in opened.items}, method)
    assert method.seeds == []
