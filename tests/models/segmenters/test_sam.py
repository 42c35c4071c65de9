"""SAM: the same numbers as segment_anything's own predictor, from the same weights."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from segment_anything import SamPredictor, sam_model_registry

from models.contracts import Point, VisualPrompt
from models.errors import Code, ModelError
from models.segmenters.family import PROMPTS_PER_PASS, Frame
from models.segmenters.sam import Sam
from tests.models.segmenters.small import SIDE, noise, small, upstream

SIZES = [(64, 64), (37, 101), (91, 40), (300, 201)]
BOX = (3.0, 5.0, 30.0, 33.0)
POINTS = (Point(7, 20), Point(31, 11, inside=False))


@pytest.fixture(scope="module")
def sam() -> Sam:
    made = small(Sam)
    assert isinstance(made, Sam)
    return made


@pytest.mark.parametrize("size", SIZES)
def test_the_embedding_is_the_predictors(sam: Sam, size: tuple[int, int]) -> None:
    image = noise(*size)
    predictor = SamPredictor(upstream(sam))
    predictor.set_image(image)
    assert torch.equal(sam.embed(image), predictor.features[0])


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize(
    "prompt", [VisualPrompt(BOX), VisualPrompt(points=POINTS), VisualPrompt(BOX, POINTS), VisualPrompt()]
)
@pytest.mark.parametrize("size", SIZES)
def test_masks_and_predicted_iou_are_the_predictors(
    sam: Sam, size: tuple[int, int], prompt: VisualPrompt, multimask: bool
) -> None:
    image = noise(*size)
    predictor = SamPredictor(upstream(sam))
    predictor.set_image(image)
    points = prompt.points
    logits, quality, _ = predictor.predict(
        point_coords=np.array([(p.x, p.y) for p in points]) if points else None,
        point_labels=np.array([int(p.inside) for p in points]) if points else None,
        box=None if prompt.box is None else np.array(prompt.box),
        multimask_output=multimask,
        return_logits=True,
    )
    candidates = sam.decode(sam.embed(image), size, [prompt], multimask)
    assert candidates.probability.shape == (1, 3 if multimask else 1, *size)
    assert np.array_equal(candidates.probability[0], torch.from_numpy(logits).sigmoid().numpy())
    assert np.array_equal(candidates.quality[0], quality)


def test_prompts_of_many_kinds_in_one_call_keep_their_order(sam: Sam) -> None:
    image = noise(40, 60)
    prompts = [VisualPrompt(), VisualPrompt(BOX), VisualPrompt(points=POINTS[:1]), VisualPrompt(BOX, POINTS)]
    prompts += [VisualPrompt((1.0, 1.0, 5.0 + n, 9.0)) for n in range(PROMPTS_PER_PASS + 1)] + [
        VisualPrompt()
    ]
    embedding = sam.embed(image)
    together = sam.decode(embedding, (40, 60), prompts, True)
    for index, prompt in enumerate(prompts):
        alone = sam.decode(embedding, (40, 60), [prompt], True)
        assert np.allclose(together.probability[index], alone.probability[0], atol=1e-5)
        assert np.allclose(together.quality[index], alone.quality[0], atol=1e-5)


def test_the_best_of_three_is_the_one_of_highest_predicted_iou(sam: Sam) -> None:
    candidates = sam.decode(sam.embed(noise(40, 60)), (40, 60), [VisualPrompt(BOX)], True)
    probability, quality = candidates.best()
    assert quality[0] == candidates.quality[0].max()
    assert np.array_equal(probability[0], candidates.probability[0, candidates.quality[0].argmax()])


def test_the_same_pixels_are_embedded_once(sam: Sam, monkeypatch: pytest.MonkeyPatch) -> None:
    image = noise(50, 51, seed=3)
    first = sam.embed(image)
    monkeypatch.setattr(sam, "preprocess", lambda image: pytest.fail("embedded again"))
    assert sam.embed(image.copy()) is first


def test_an_image_thinner_than_a_pixel_of_the_input_is_still_an_image(sam: Sam) -> None:
    """segment_anything's own predictor fails on it: it rounds the short side to nothing."""
    image = noise(1, 900)
    candidates = sam.decode(sam.embed(image), (1, 900), [VisualPrompt((10.0, 0.0, 90.0, 1.0))])
    assert candidates.probability.shape == (1, 1, 1, 900)


def test_no_prompts_give_no_masks(sam: Sam) -> None:
    assert sam.decode(torch.zeros(256, 8, 8), (5, 7), [], True).probability.shape == (0, 3, 5, 7)


@pytest.mark.parametrize("size", ["vit_b", "vit_l", "vit_h"])
def test_names_and_shapes_are_those_of_the_published_files(size: str) -> None:
    with torch.device("meta"):
        own = Sam(size).state_dict()
        published = sam_model_registry[size]().state_dict()
    assert {name: value.shape for name, value in own.items()} == {
        name: value.shape for name, value in published.items()
    }


def test_weights_of_another_size_are_refused(sam: Sam) -> None:
    with pytest.raises(ModelError, match="SAM") as caught:
        Sam.with_weights(sam.state_dict(), "vit_b")
    assert caught.value.code == Code.BUNDLE_INVALID


@pytest.mark.slow
def test_the_true_vit_b_computes_what_segment_anything_computes() -> None:
    torch.manual_seed(0)
    published = sam_model_registry["vit_b"]()
    sam = Sam.with_weights(published.state_dict())
    assert not any(values.requires_grad for values in sam.parameters())
    image = noise(120, 90)
    predictor = SamPredictor(published)
    predictor.set_image(image)
    assert torch.equal(sam.embed(image), predictor.features[0])
    logits, quality, _ = predictor.predict(box=np.array(BOX), return_logits=True)
    candidates = sam.decode(sam.embed(image), (120, 90), [VisualPrompt(BOX)], True)
    assert np.array_equal(candidates.probability[0], torch.from_numpy(logits).sigmoid().numpy())
    assert np.array_equal(candidates.quality[0], quality)


sides = st.integers(1, 3000)


@given(sides, sides, st.floats(0, 3000), st.floats(0, 3000), st.booleans())
def test_coordinates_go_to_the_input_and_back_on_any_size(
    height: int, width: int, x: float, y: float, stretched: bool
) -> None:
    make = Frame.stretched if stretched else Frame.longest_side
    frame = make((height, width), 1024)
    assert np.allclose(frame.to_image(frame.to_input([x, y])), [x, y], rtol=1e-9, atol=1e-9)
    corner = frame.to_input([width, height])
    assert np.allclose(corner, [frame.columns, frame.rows])
    assert max(frame.rows, frame.columns) == SIDE * 8
