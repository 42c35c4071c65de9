"""The stages together, with an encoder and a segmenter small enough to know the answer."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from torch import Tensor

from models.bundles.bundle import Bundle
from models.contracts import Candidates, VisualPrompt
from models.errors import Code, PromptError
from models.method import Method, image_seed
from models.settings import Settings
from models.stages import Vote
from tests.models.toy import BoxSegmenter, ToyEncoder, picture


@pytest.fixture
def method() -> Method:
    bundle = Bundle("toy", "0", "d" * 64, ToyEncoder(), BoxSegmenter(), (), {"relevance_tokens": 0.05})
    return Method(bundle)


def run(method: Method, image: np.ndarray, prompt: str, seed: int = 0) -> Vote:
    saliency = method.saliency(image, method.text([prompt]), seed)
    return method.vote(method.refine(image, method.coarse(image, saliency), seed))


@pytest.mark.parametrize("size", [(64, 64), (64, 128), (128, 64)])
def test_an_object_is_found_where_it_is_also_on_an_image_that_is_not_square(
    method: Method, size: tuple[int, int]
) -> None:
    height, width = size
    box = (width // 8, height // 4, width // 2, height // 2)
    vote = run(method, picture(height, width, [box]), "bright")
    rows, columns = np.nonzero(vote.mask)
    assert vote.status is None
    cell = (width / 8, height / 8)
    assert abs(columns.min() - box[0]) <= cell[0]
    assert abs(columns.max() + 1 - box[2]) <= cell[0]
    assert abs(rows.min() - box[1]) <= cell[1]
    assert abs(rows.max() + 1 - box[3]) <= cell[1]


def test_two_objects_are_one_segment_and_never_half_probable(method: Method) -> None:
    """Members take the maximum over components: averaging their boxes would give 0.5 each."""
    vote = run(method, picture(64, 64, [(0, 24, 16, 40), (40, 24, 64, 48)]), "bright")
    assert vote.probability[32, 8] > 0.8
    assert vote.probability[32, 52] > 0.8


def test_an_absent_target_passes_through_every_stage_as_a_code(method: Method) -> None:
    image = picture(64, 64, [(16, 16, 40, 40)])
    saliency = method.saliency(image, method.text(["dark matter"]), 0)
    vote = method.vote(method.refine(image, method.coarse(image, saliency), 0))
    assert saliency.status == Code.TARGET_ABSENT == vote.status
    assert not vote.mask.any()
    assert vote.mask.shape == (64, 64)
    assert saliency.on_pixels().shape == (64, 64)


def test_the_same_seed_gives_the_same_pixels(method: Method) -> None:
    image = picture(64, 64, [(16, 16, 40, 40)])
    first, second = run(method, image, "bright", 3), run(method, image, "bright", 3)
    assert np.array_equal(first.probability, second.probability)
    assert not np.array_equal(first.probability, run(method, image, "bright", 4).probability)


def test_the_seed_depends_on_pixels_prompt_and_base_only() -> None:
    image = picture(16, 16, [(2, 2, 8, 8)])
    assert image_seed(image, ["a"], 0) == image_seed(image.copy(), ["a"], 0)
    others = {
        image_seed(image, ["b"], 0),
        image_seed(image, ["a"], 1),
        image_seed(image[::-1], ["a"], 0),
        image_seed(image.reshape(8, 32, 3), ["a"], 0),
    }
    assert len(others | {image_seed(image, ["a"], 0)}) == 5


@pytest.mark.parametrize(
    ("prompts", "code"),
    [([], Code.PROMPT_EMPTY), (["  "], Code.PROMPT_EMPTY), (["x" * 10_000], Code.PROMPT_TOO_LONG)],
)
def test_prompts_that_say_nothing_or_too_much_are_refused(
    method: Method, prompts: list[str], code: Code
) -> None:
    with pytest.raises(PromptError) as caught:
        method.text(prompts)
    assert caught.value.code == code


def test_averaging_copies_of_a_prompt_is_that_prompt(method: Method) -> None:
    assert np.allclose(method.text(["bright"] * 3).numpy(), method.text(["bright"]).numpy(), atol=1e-6)


def test_fewer_than_four_members_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        Settings(members=3)


def test_of_several_margins_the_segmenter_chooses_the_mask_it_trusts(method: Method) -> None:
    class PrefersWide(BoxSegmenter):
        def decode(
            self,
            embedding: Tensor,
            size: tuple[int, int],
            prompts: Sequence[VisualPrompt],
            multimask: bool = False,
        ) -> Candidates:
            found = super().decode(embedding, size, prompts, multimask)
            return Candidates(found.probability, found.probability.sum((2, 3)).astype(np.float32))

    settings = method.settings.overridden({"visual": {"margins": (0.0, 0.4), "jitter": 0.0, "outline": 1.0}})
    image = picture(64, 64, [(16, 16, 40, 40)])
    narrow = run(Method(method.bundle, settings), image, "bright")
    wide = run(Method(replace(method.bundle, segmenter=PrefersWide()), settings), image, "bright")
    assert wide.mask.sum() > narrow.mask.sum()


class Lost(BoxSegmenter):
    """Answers a corner, whatever it is asked."""

    def decode(
        self,
        embedding: Tensor,
        size: tuple[int, int],
        prompts: Sequence[VisualPrompt],
        multimask: bool = False,
    ) -> Candidates:
        corner = np.zeros((len(prompts), 1, *size), np.float32)
        corner[:, :, :4, :4] = 0.9
        return Candidates(corner, np.full((len(prompts), 1), 0.6, np.float32))


def test_where_sam_fails_the_component_stands_and_says_so_by_its_entropy(method: Method) -> None:
    settings = method.settings.overridden({"visual": {"outline": 1.0}})
    image = picture(64, 64, [(24, 24, 48, 48)])
    vote = run(Method(replace(method.bundle, segmenter=Lost()), settings), image, "bright")
    assert vote.mask[30:42, 30:42].all()
    assert not vote.mask[:4, :4].any()
    assert vote.entropy[vote.mask].mean() > 0.5


def test_where_the_crf_agrees_better_than_sam_its_outline_stands(method: Method) -> None:
    """The grey values of the picture give the rectangle to the pixel, which cells of 8 pixels cannot."""
    image = picture(64, 64, [(21, 26, 47, 45)])
    vote = run(Method(replace(method.bundle, segmenter=Lost())), image, "bright")
    truth = image[:, :, 0] > 100
    assert 2 * (vote.mask & truth).sum() / (vote.mask.sum() + truth.sum()) > 0.95
    assert not vote.mask[:4, :4].any()


def test_where_sam_agrees_as_well_the_crf_is_not_believed(method: Method) -> None:
    image = picture(64, 64, [(16, 16, 40, 40)])
    without = Method(method.bundle, method.settings.overridden({"visual": {"outline": 1.0}}))
    assert np.array_equal(run(method, image, "bright").mask, run(without, image, "bright").mask)
