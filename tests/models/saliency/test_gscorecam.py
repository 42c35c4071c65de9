"""gScoreCAM: which channels, how they mask, how scores become a map, and how a long run goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.contracts import Pixels
from models.errors import Code, ModelError
from models.placement import Placement
from models.saliency.gradcam import before_last_block
from models.saliency.gscorecam import (
    GScoreCamSettings,
    channel_masks,
    channel_weights,
    gscorecam,
    leading,
)
from tests.models.saliency.small_vit import GRID, SIDE, TEXT, WIDTH, AtLastNorm2, SmallVit, speckle, trunk
from tests.models.saliency.toys import CHANNELS, Blind, OnePlace
from tests.models.saliency.toys import TEXT as PLACE_TEXT


@pytest.fixture(scope="module")
def vit() -> SmallVit:
    return SmallVit(trunk())


class Counting(SmallVit):
    """Counts the inputs it encodes, and stops after as many as it is told."""

    def __init__(self, model, layer=1, patience=10**9) -> None:
        super().__init__(model, layer)
        self.encoded, self.patience = 0, patience

    def encode_pixels(self, pixels, placement):
        if self.encoded + len(pixels) > self.patience:
            raise KeyboardInterrupt
        self.encoded += len(pixels)
        return super().encode_pixels(pixels, placement)


def bright_cell() -> np.ndarray:
    image = np.full((60, 60, 3), 40, np.uint8)
    image[20:30, 40:50] = 250
    return image


def test_every_channel_kept_is_score_cam(vit: SmallVit) -> None:
    """ScoreCAM, written out: mask by every channel, softmax of the scores, ReLU of the weighted sum."""
    image = speckle()
    cut = before_last_block(vit)
    activations = cut.tokens(image).values[:, 1:].reshape(WIDTH, GRID, GRID)
    scores = []
    for channel in activations:
        mask = F.interpolate(channel[None, None], (SIDE, SIDE), mode="bilinear", align_corners=True)[0, 0]
        mask = (mask - mask.min()) / (mask.max() - mask.min() + 1e-6)
        with torch.no_grad():
            masked = vit.encode_pixels(
                (vit.preprocess(image).values * mask)[None], Placement.whole(1, 1, 1, 1)
            )
        scores.append(vit.scale * (masked[0] @ TEXT))
    expected = (torch.stack(scores).softmax(0)[:, None, None] * activations).sum(0).relu()
    expected = (expected - expected.min()) / (expected.max() - expected.min())
    found = gscorecam(vit, image, TEXT, GScoreCamSettings(top=WIDTH))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("batch", [1, 7, 24])
def test_the_batch_size_changes_nothing(vit: SmallVit, batch: int) -> None:
    whole = gscorecam(vit, speckle(), TEXT, GScoreCamSettings(top=20, batch=20))
    found = gscorecam(vit, speckle(), TEXT, GScoreCamSettings(top=20, batch=batch))
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-4)
    assert found.min() == 0.0
    assert found.max() == 1.0


def test_the_number_of_passes_is_the_number_of_channels(vit: SmallVit) -> None:
    encoder = Counting(vit.model)
    gscorecam(encoder, speckle(), TEXT, GScoreCamSettings(top=9))
    assert encoder.encoded == 9


def test_leading_channels_are_taken_by_index_where_they_tie() -> None:
    assert leading(torch.tensor([0.0, 2.0, 1.0, 2.0, 1.0, 1.0]), 4) == [1, 3, 2, 4]
    assert leading(torch.zeros(700), 5) == [0, 1, 2, 3, 4]
    assert leading(torch.ones(3), 300) == [0, 1, 2]


def test_weights_sum_to_one_and_a_channel_without_score_counts_as_zero() -> None:
    weights = channel_weights({2: 1.0, 0: 0.0}, 4)
    assert weights.sum().item() == pytest.approx(1.0)
    assert weights[0] == weights[1] == weights[3]
    assert (weights[2] / weights[1]).item() == pytest.approx(np.e)


def test_masks_go_from_zero_to_one_and_keep_the_corners() -> None:
    activations = torch.randn(4, 3, 3, generator=torch.Generator().manual_seed(0))
    masks = channel_masks(activations, Pixels(torch.zeros(3, 9, 9), Placement.whole(9, 9, 3, 3)))[:, 0]
    assert masks.amin((1, 2)).tolist() == [0.0] * 4
    assert masks.amax((1, 2)).tolist() == pytest.approx([1.0] * 4, abs=1e-5)
    corners = activations[:, ::2, ::2].flatten(1)
    torch.testing.assert_close(masks[:, ::8, ::8].flatten(1).argsort(1), corners.argsort(1))


def test_masks_of_an_image_that_was_padded_end_where_the_tokens_end() -> None:
    tall = Pixels(torch.zeros(3, 32, 32), Placement.whole(80, 40, 4, 2))
    masks = channel_masks(torch.arange(8.0).reshape(1, 4, 2), tall)
    assert masks.shape == (1, 1, 32, 32)
    assert masks[0, 0, :, 16:].abs().max() == 0.0
    assert masks[0, 0, -1, 15] == pytest.approx(1.0, abs=1e-5)


def test_a_constant_channel_masks_without_nan() -> None:
    flat = Pixels(torch.zeros(3, 8, 8), Placement.whole(8, 8, 2, 2))
    assert not channel_masks(torch.full((1, 2, 2), 0.5), flat).any()


def test_the_order_of_channels_does_not_matter() -> None:
    settings = GScoreCamSettings(top=3)
    plain = gscorecam(OnePlace((2, 4)), bright_cell(), PLACE_TEXT, settings)
    turned = gscorecam(OnePlace((2, 4), order=(3, 0, 4, 2, 1)), bright_cell(), PLACE_TEXT, settings)
    torch.testing.assert_close(plain, turned, atol=1e-6, rtol=1e-6)


def test_the_maximum_is_where_the_score_comes_from() -> None:
    found = gscorecam(OnePlace((2, 4)), bright_cell(), PLACE_TEXT, GScoreCamSettings(top=2))
    assert divmod(int(found.argmax()), 6) == (2, 4)


def test_a_score_that_is_no_number_counts_as_zero() -> None:
    class Broken(OnePlace):
        def encode_pixels(self, pixels, placement):
            return super().encode_pixels(pixels, placement) * float("nan")

    found = gscorecam(Broken((2, 4)), bright_cell(), PLACE_TEXT, GScoreCamSettings(top=CHANNELS))
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    ("make", "text"), [(lambda vit: AtLastNorm2(vit.model), TEXT), (lambda _vit: Blind((0, 0)), PLACE_TEXT)]
)
def test_where_no_patch_counts_there_is_an_error_and_no_arbitrary_choice(vit: SmallVit, make, text) -> None:
    """The papers' released code scores 300 arbitrary channels there."""
    with pytest.raises(ModelError) as refused:
        gscorecam(make(vit), speckle(), text, GScoreCamSettings())
    assert refused.value.code == Code.GRADIENT_ZERO


def test_settings_that_score_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one channel"):
        GScoreCamSettings(top=0)


def test_an_interrupted_run_goes_on_where_it_stopped(vit: SmallVit, tmp_path: Path) -> None:
    kept, settings = tmp_path / "scores.json", GScoreCamSettings(top=20, batch=6)
    with pytest.raises(KeyboardInterrupt):
        gscorecam(Counting(vit.model, patience=13), speckle(), TEXT, settings, resume=kept)
    second, seen = Counting(vit.model), []
    found = gscorecam(second, speckle(), TEXT, settings, lambda *done: seen.append(done), kept)
    assert second.encoded == 8
    assert seen == [(18, 20), (20, 20)]
    torch.testing.assert_close(found, gscorecam(vit, speckle(), TEXT, settings), atol=1e-5, rtol=1e-4)
    third = Counting(vit.model)
    assert torch.equal(gscorecam(third, speckle(), TEXT, settings, resume=kept), found)
    assert third.encoded == 0
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]


def test_scores_of_another_image_text_or_choice_are_not_used(vit: SmallVit, tmp_path: Path) -> None:
    settings = GScoreCamSettings(top=6)
    others = [
        (speckle(seed=1), TEXT, settings),
        (speckle(), -TEXT, settings),
        (speckle(), TEXT, replace(settings, top=7)),
    ]
    for index, (image, text, chosen) in enumerate(others):
        kept = tmp_path / f"{index}.json"
        gscorecam(vit, speckle(), TEXT, settings, resume=kept)
        resumed = gscorecam(vit, image, text, chosen, resume=kept)
        assert torch.equal(resumed, gscorecam(vit, image, text, chosen))


def test_a_file_that_holds_no_scores_is_neither_used_nor_replaced(vit: SmallVit, tmp_path: Path) -> None:
    for content in ("not json", "[1]", '{"scores": 3}'):
        kept = tmp_path / "mine.json"
        kept.write_text(content)
        with pytest.raises(ModelError, match="RUN-MISMATCH"):
            gscorecam(vit, speckle(), TEXT, GScoreCamSettings(top=2), resume=kept)
        assert kept.read_text() == content


def test_the_weights_are_left_as_they_were(vit: SmallVit) -> None:
    before = [weight.clone() for weight in vit.model.parameters()]
    gscorecam(vit, speckle(), TEXT, GScoreCamSettings(top=5))
    assert all(torch.equal(a, b) for a, b in zip(before, vit.model.parameters(), strict=True))
    assert all(weight.grad is None for weight in vit.model.parameters())
