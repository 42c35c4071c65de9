"""From a coarse mask to prompts and back to one mask, on a segmenter that answers with the filled box."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.contracts import VisualPrompt
from models.segmenters.prompts import PromptSettings, ask, sample_points, tight_box, union, visual_prompts
from tests.models.segmenters.small import BoxStub

SIZE = (40, 70)
BOXES = PromptSettings("boxes")
EVERYTHING = torch.zeros(1, 1, 1)


def blob(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def prompts_of(
    components: Sequence[np.ndarray], settings: PromptSettings, seed: int
) -> tuple[VisualPrompt, ...]:
    return tuple(chain(*visual_prompts(components, settings, np.random.default_rng(seed))))


def test_a_box_is_tight_and_half_open() -> None:
    assert tight_box(blob(12, 3, 30, 9)) == (12.0, 3.0, 30.0, 9.0)


def test_an_empty_mask_has_no_box() -> None:
    """The released code makes [0, 0, W, H] of it, one pixel outside the image and not what was found."""
    with pytest.raises(ValueError, match="empty"):
        tight_box(np.zeros(SIZE, bool))


@pytest.mark.parametrize("kind", ["boxes", "points", "both"])
def test_no_component_gives_no_prompt_and_no_prompt_no_mask(kind: str) -> None:
    """The released code crashes here: two values where it unpacks three."""
    prompts = prompts_of([], PromptSettings(kind), 0)
    assert prompts == ()
    probability, quality = ask(BoxStub(), EVERYTHING, SIZE, prompts)
    assert probability.shape == (0, *SIZE)
    assert quality.shape == (0,)


def test_one_blob_gives_one_box_and_two_give_two() -> None:
    first, second = blob(2, 3, 10, 9), blob(30, 20, 50, 38)
    assert prompts_of([first], BOXES, 0) == (VisualPrompt((2.0, 3.0, 10.0, 9.0)),)
    assert prompts_of([first, second], BOXES, 0)[1] == VisualPrompt((30.0, 20.0, 50.0, 38.0))


def test_every_margin_is_a_prompt_of_its_own_and_all_are_moved_together() -> None:
    settings = PromptSettings(margins=(0.0, 0.5), jitter=0.1)
    ((narrow, wide),) = visual_prompts([blob(20, 10, 40, 20)], settings, np.random.default_rng(3))
    assert narrow.box is not None
    assert wide.box is not None
    assert narrow.box != (20.0, 10.0, 40.0, 20.0)
    assert (wide.box[0] + wide.box[2]) / 2 == pytest.approx((narrow.box[0] + narrow.box[2]) / 2)
    assert wide.box[2] - wide.box[0] == pytest.approx(40.0)


masks = st.tuples(st.integers(0, 60), st.integers(0, 30), st.integers(1, 10), st.integers(1, 10)).map(
    lambda box: blob(box[0], box[1], box[0] + box[2], box[1] + box[3])
)


@given(masks, masks, st.integers(0, 2**32), st.integers(1, 12))
def test_points_are_distinct_inside_their_own_component_and_reproducible(
    first: np.ndarray, second: np.ndarray, seed: int, count: int
) -> None:
    """The released code draws from the global generator, unseeded, and from all components at once."""
    settings = PromptSettings("points", points=count)
    np.random.seed(0)  # noqa: NPY002 (whatever the global state is)
    prompts = prompts_of([first, second], settings, seed)
    np.random.seed(1)  # noqa: NPY002
    assert prompts == prompts_of([first, second], settings, seed)
    for prompt, mask in zip(prompts, [first, second], strict=True):
        assert prompt.box is None
        assert len(set(prompt.points)) == len(prompt.points) == min(count, mask.sum())
        assert all(mask[int(point.y), int(point.x)] and point.inside for point in prompt.points)


def test_x_is_the_column_on_a_mask_that_is_not_square() -> None:
    (point,) = sample_points(blob(65, 4, 66, 5), 1, np.random.default_rng(0))
    assert (point.x, point.y) == (65.0, 4.0)


def test_fewer_pixels_than_points_give_them_all() -> None:
    """The released code raises: it cannot draw ten of three without replacement."""
    (prompt,) = prompts_of([blob(5, 5, 8, 6)], PromptSettings("points", points=10), 0)
    assert {(point.x, point.y) for point in prompt.points} == {(5.0, 5.0), (6.0, 5.0), (7.0, 5.0)}


def test_other_seeds_draw_other_points() -> None:
    one, other = (prompts_of([blob(0, 0, 70, 40)], PromptSettings("points"), seed) for seed in (0, 1))
    assert one != other


def test_negative_points_lie_outside_every_component() -> None:
    components = [blob(0, 0, 35, 40), blob(35, 0, 70, 39)]
    for prompt in prompts_of(components, PromptSettings("both", points=3, negatives=50), 7):
        outside = [point for point in prompt.points if not point.inside]
        assert len(outside) == 35  # all there are
        assert all(point.y == 39.0 and point.x >= 35.0 for point in outside)
        assert len(prompt.points) == 38
        assert prompt.box is not None


@given(masks, st.floats(0, 2))
def test_a_margin_never_shrinks_a_box_and_stays_on_the_image(mask: np.ndarray, margin: float) -> None:
    tight = tight_box(mask)
    (prompt,) = prompts_of([mask], PromptSettings(margins=(margin,)), 0)
    assert prompt.box is not None
    x0, y0, x1, y1 = prompt.box
    assert 0.0 <= x0 <= tight[0]
    assert 0.0 <= y0 <= tight[1]
    assert tight[2] <= x1 <= 70.0
    assert tight[3] <= y1 <= 40.0


@given(st.integers(0, 40), st.integers(0, 20))
def test_a_moved_object_moves_its_box(dx: int, dy: int) -> None:
    x0, y0, x1, y1 = tight_box(blob(3, 4, 20, 15))
    assert tight_box(blob(3 + dx, 4 + dy, 20 + dx, 15 + dy)) == (x0 + dx, y0 + dy, x1 + dx, y1 + dy)


def test_best_takes_the_candidate_of_highest_predicted_iou_and_single_asks_for_one() -> None:
    """For boxes the released code takes the union of the three: the largest of them, never the best."""
    stub = BoxStub(qualities=(0.2, 0.9, 0.4))
    prompts = [VisualPrompt((10.0, 10.0, 30.0, 30.0))]
    best, quality = ask(stub, EVERYTHING, SIZE, prompts, "best")
    single, own = ask(stub, EVERYTHING, SIZE, prompts, "single")
    assert quality[0] == np.float32(0.9)
    assert (best[0] > 0.5).sum() == 18 * 18
    assert own[0] == np.float32(0.2)
    assert (single[0] > 0.5).sum() == 20 * 20


def test_a_policy_means_the_same_for_boxes_and_for_points() -> None:
    """The released code averages over prompts in one case and over candidates in the other."""
    stub = BoxStub(qualities=(0.2, 0.9))
    for kind in ("boxes", "points", "both"):
        prompts = prompts_of([blob(2, 3, 10, 9), blob(30, 20, 50, 38)], PromptSettings(kind), 0)
        probability, quality = ask(stub, EVERYTHING, SIZE, prompts, "best")
        assert probability.shape == (2, *SIZE)
        assert (quality == np.float32(0.9)).all()


def test_the_union_of_masks_is_commutative_and_idempotent() -> None:
    first, second = blob(1, 2, 20, 30), blob(10, 5, 60, 20)
    joined = union(np.stack([first, second]))
    assert joined.sum() == 19 * 28 + 50 * 15 - 10 * 15
    assert np.array_equal(joined, union(np.stack([second, first])))
    assert np.array_equal(joined, union(np.stack([first, second, first, joined])))
    assert not union(np.zeros((0, *SIZE), bool)).any()
