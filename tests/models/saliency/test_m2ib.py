"""Properties of the bottleneck that hold for any encoder (MedCLIP-SAMv2, section 3.2)."""

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.placement import Placement
from models.saliency.m2ib import START, M2ibSettings, information, m2ib, min_max
from tests.models.saliency.small_vit import GRID, TEXT, WIDTH, SmallVit, speckle, trunk
from tests.models.saliency.toys import TEXT as PLACE_TEXT
from tests.models.saliency.toys import OnePlace
from tests.models.toy import ToyEncoder, picture

BRIGHT, OTHER = ToyEncoder().encode_text(["bright", "other"])


def maps_of(features, text=BRIGHT, seeds=(1,), **values) -> torch.Tensor:
    """One map per seed of one slice and one text."""
    rows = features.expand(len(seeds), *features.shape)
    return m2ib(ToyEncoder(), rows, text.expand(len(seeds), -1), seeds, M2ibSettings(**values))


def published(encoder, features, text, seed, settings) -> torch.Tensor:
    """The formulation of the paper for one row: every step complete, the map from the last forward pass."""
    generator = torch.Generator().manual_seed(seed)
    gate = torch.full_like(features, 5.0, requires_grad=True)
    optimiser = torch.optim.Adam([gate], lr=settings.rate)
    for _ in range(settings.steps):
        lam = torch.sigmoid(gate)
        mean, variance = lam * features, (1 - lam) ** 2
        kept = -0.5 * (1 + variance.log() - mean**2 - variance)
        noise = torch.randn(settings.copies, *features.shape, generator=generator)
        agreement = torch.cosine_similarity(encoder.finish(mean + variance.sqrt() * noise), text[None])
        optimiser.zero_grad()
        (settings.beta * kept.mean() - agreement.mean()).backward()
        optimiser.step()
    return kept.detach().sum(0)


@pytest.fixture
def features() -> torch.Tensor:
    return ToyEncoder().tokens(picture(64, 64, [(16, 24, 40, 40)])).values


@given(st.floats(-4, 4), st.floats(-30, 30))
def test_information_is_never_negative_and_finite(value: float, gate: float) -> None:
    kept = information(torch.tensor([value]), torch.tensor([gate]))
    assert torch.isfinite(kept).all()
    assert kept.item() >= -1e-5


def test_information_is_zero_only_where_nothing_passes() -> None:
    assert information(torch.tensor([3.0]), torch.tensor([-60.0])).item() == pytest.approx(0.0, abs=1e-6)
    assert information(torch.tensor([3.0]), torch.tensor([0.0])).item() > 0.1


def test_information_at_the_start_is_the_closed_form() -> None:
    lam = torch.sigmoid(torch.tensor(START))
    variance = (1 - lam) ** 2
    expected = -0.5 * (1 + variance.log() - lam**2 - variance)
    assert information(torch.tensor([1.0]), torch.tensor([START])).item() == pytest.approx(
        expected.item(), 1e-4
    )
    assert information(torch.tensor([0.0]), torch.tensor([START])).item() == pytest.approx(4.5, abs=0.1)


def test_the_map_is_highest_where_the_encoder_looks(features: torch.Tensor) -> None:
    saliency = maps_of(features)[0]
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[3:5, 2:5] = True
    assert saliency[inside].min() > saliency[~inside].max()


def test_a_member_depends_on_its_own_seed_only(features: torch.Tensor) -> None:
    together = maps_of(features, seeds=(1, 2, 3))
    alone = maps_of(features, seeds=(2,))
    assert torch.allclose(together[1], alone[0], atol=1e-5)
    assert not torch.equal(together[0], together[1])


@pytest.mark.parametrize("settings", [M2ibSettings(), M2ibSettings(beta=1.0, steps=3, copies=10)])
def test_the_map_is_that_of_the_published_formulation(features: torch.Tensor, settings: M2ibSettings) -> None:
    ours = m2ib(ToyEncoder(), features[None], BRIGHT[None], [11], settings)[0]
    torch.testing.assert_close(
        ours, published(ToyEncoder(), features, BRIGHT, 11, settings), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_rows_of_other_slices_and_prompts_change_nothing(batch: int) -> None:
    slices = [ToyEncoder().tokens(picture(64, 64, [box])).values for box in [(0, 0, 9, 9), (16, 24, 40, 40)]]
    rows = torch.stack([slices[0], slices[1], slices[1]])
    texts = torch.stack([BRIGHT, OTHER, BRIGHT])
    together = m2ib(ToyEncoder(), rows, texts, [1, 2, 3], M2ibSettings(batch=batch))
    alone = [maps_of(rows[i], texts[i], (i + 1,))[0] for i in range(3)]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=1e-5)


def test_no_rows_give_no_maps() -> None:
    assert m2ib(ToyEncoder(), torch.zeros(0, 6, 8, 8), torch.zeros(0, 6), [], M2ibSettings()).shape == (
        0,
        8,
        8,
    )


def test_rows_that_do_not_pair_are_refused(features: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="do not pair"):
        m2ib(ToyEncoder(), features[None], BRIGHT[None], [1, 2], M2ibSettings())


def test_only_what_reaches_the_map_is_computed(features: torch.Tensor) -> None:
    passes = []

    class Counting(ToyEncoder):
        def finish(self, tokens: torch.Tensor) -> torch.Tensor:
            passes.append(len(tokens))
            return super().finish(tokens)

    m2ib(Counting(), features[None], BRIGHT[None], [1], M2ibSettings(steps=10, copies=4))
    assert passes == [4] * 9


def test_the_same_seed_gives_the_same_map(features: torch.Tensor) -> None:
    assert torch.equal(maps_of(features, seeds=(7,)), maps_of(features, seeds=(7,)))


def test_less_information_passes_as_beta_grows(features: torch.Tensor) -> None:
    totals = [maps_of(features, beta=beta).sum().item() for beta in (0.0, 0.1, 1.0, 10.0)]
    assert totals == sorted(totals, reverse=True)


def test_a_map_fills_zero_to_one_and_a_constant_map_is_empty() -> None:
    maps = min_max(torch.stack([torch.arange(6.0).reshape(2, 3), torch.full((2, 3), 4.0)]))
    assert maps[0].min() == 0.0
    assert maps[0].max() == 1.0
    assert torch.equal(maps[1], torch.zeros(2, 3))


def test_a_constant_image_gives_a_finite_map() -> None:
    assert torch.isfinite(maps_of(torch.zeros(6, 8, 8))).all()


def test_the_map_of_a_single_step_is_the_closed_form_at_the_start(features: torch.Tensor) -> None:
    lam = torch.sigmoid(torch.tensor(START))
    variance = (1 - lam) ** 2
    closed = -0.5 * (1 + variance.log() - (lam * features) ** 2 - variance)
    torch.testing.assert_close(maps_of(features, steps=1)[0], closed.sum(0), atol=1e-3, rtol=1e-4)


def test_there_is_no_variance_to_set() -> None:
    """The released code takes one and never reads it: two thirds of its grid search change nothing."""
    assert {field.name for field in fields(M2ibSettings)} == {"beta", "steps", "copies", "rate", "batch"}


@pytest.mark.parametrize("values", [{"steps": 0}, {"copies": 0}, {"batch": 0}])
def test_settings_that_compute_nothing_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        M2ibSettings(**values)


def test_the_maximum_is_at_the_one_place_that_the_encoder_reads() -> None:
    encoder = OnePlace((2, 4))
    tokens = encoder.tokens(speckle(60, 60))
    settings = M2ibSettings(beta=1.0)
    found = m2ib(encoder, tokens.values[None], PLACE_TEXT[None], [3], settings)[0]
    assert divmod(int(found.argmax()), 6) == (2, 4)


class Watched(SmallVit):
    """Keeps every image embedding of an optimisation."""

    seen: list[torch.Tensor]

    def finish(self, tokens: torch.Tensor) -> torch.Tensor:
        images = super().finish(tokens)
        self.seen.append(images.detach())
        return images


def agreements(beta: float) -> tuple[list[float], float]:
    """The cosine at each step, and the mean information of the map, on a transformer of random weights."""
    encoder = Watched(trunk(), layer=1)
    encoder.seen = []
    values = encoder.tokens(speckle()).values[None]
    settings = M2ibSettings(beta=beta, copies=10, steps=11)
    passed = m2ib(encoder, values, TEXT[None], [1], settings).mean().item() / WIDTH
    return [(images @ TEXT).mean().item() for images in encoder.seen], passed


def test_without_a_price_on_information_the_image_nears_the_text() -> None:
    course, _ = agreements(0.0)
    assert course[-1] > course[0] + 0.05


def test_a_higher_price_lets_less_pass_and_agreement_does_not_grow() -> None:
    courses, passed = zip(*(agreements(beta) for beta in (0.0, 0.1, 1.0, 10.0)), strict=True)
    assert list(passed) == sorted(passed, reverse=True)
    assert passed[-1] < 0.1 * passed[0]
    last = [course[-1] for course in courses]
    assert all(later <= earlier + 0.02 for earlier, later in pairwise(last))


@pytest.mark.parametrize("layer", [0, 2])
def test_the_cached_prefix_gives_the_map_of_the_whole_tower(layer: int) -> None:
    """The whole tower from the pixels at every step, the output of the block replaced by the noisy one."""
    encoder = SmallVit(trunk(), layer)
    image = speckle()
    pixels = encoder.preprocess(image).values
    before: list[torch.Tensor] = []

    class Whole(SmallVit):
        def finish(self, tokens: torch.Tensor) -> torch.Tensor:
            block = self.model.blocks[self.layer]
            noisy = tokens.transpose(1, 2)
            hooks = [
                block.register_forward_hook(lambda _block, _inputs, output: before.append(output)),
                block.register_forward_hook(lambda _block, _inputs, _output: noisy),
            ]
            images = self.encode_pixels(pixels.expand(len(tokens), -1, -1, -1), None)
            for hook in hooks:
                hook.remove()
            return images

    tokens = encoder.tokens(image)
    settings = M2ibSettings(copies=3, steps=5)
    cached = m2ib(encoder, tokens.values[None], TEXT[None], [4], settings)[0]
    whole = published(Whole(encoder.model, layer), tokens.values, TEXT, 4, settings)
    torch.testing.assert_close(cached, whole, atol=1e-4, rtol=1e-4)
    assert tokens.grid(cached[None]).shape == (1, GRID, GRID)
    # The gate changes nothing at or below its block.
    assert all(torch.allclose(output, tokens.values.T.expand_as(output), atol=1e-5) for output in before)


def test_the_encoder_is_left_as_it_was_even_if_its_weights_ask_for_gradients() -> None:
    encoder = SmallVit(trunk())
    before = [weight.clone() for weight in encoder.model.parameters()]
    assert all(weight.requires_grad for weight in encoder.model.parameters())
    m2ib(encoder, encoder.tokens(speckle()).values[None], TEXT[None], [1], M2ibSettings())
    after = list(encoder.model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(weight.grad is None for weight in after)


class Cropping(ToyEncoder):
    """Sees the central square of an image only, as the image processor of CLIP does."""

    def preprocess(self, image):
        height, width = image.shape[:2]
        left = (width - height) // 2
        seen = super().preprocess(image[:, left : left + height])
        covers = (float(left), 0.0, float(left + height), float(height))
        return type(seen)(seen.values, Placement(height, width, 8, 8, covers))


def test_an_object_is_found_at_its_own_pixels_although_the_encoder_cropped_the_image() -> None:
    """The papers' released code stretches the crop's map over the image: x = 105 is reported at 130."""
    encoder = Cropping()
    tokens = encoder.tokens(picture(80, 160, [(100, 20, 110, 30)]))
    found = m2ib(encoder, tokens.values[None], BRIGHT[None], [1], M2ibSettings())
    pixels = tokens.placement.on_pixels(min_max(tokens.grid(found)))[0]
    y, x = np.argwhere(pixels > 0.98 * pixels.max()).mean(0)
    assert (x, y) == (pytest.approx(104.5, abs=1.0), pytest.approx(24.5, abs=1.0))
