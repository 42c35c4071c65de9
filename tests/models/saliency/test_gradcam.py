"""GradCAM: the layer where patches count, and what it marks."""

import numpy as np
import pytest
import torch

from models.contracts import LayeredEncoder
from models.errors import Code, ModelError
from models.saliency.gradcam import before_last_block, gradcam, patch_gradients
from tests.models.saliency.small_vit import DEPTH, GRID, TEXT, AtLastNorm2, SmallVit, speckle, trunk
from tests.models.saliency.toys import TEXT as PLACE_TEXT
from tests.models.saliency.toys import Blind, OnePlace


@pytest.fixture(scope="module")
def vit() -> SmallVit:
    return SmallVit(trunk())


def test_the_layer_of_the_released_code_has_no_patch_gradient_at_all(vit: SmallVit) -> None:
    """Regression test: the papers' released code hooks the last block's norm2, where it is exactly zero."""
    encoder = AtLastNorm2(vit.model)
    tokens = encoder.tokens(speckle())
    values = tokens.values.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(encoder.finish(values[None])[0] @ TEXT, values)
    assert gradient[:, 0].abs().max() > 1e-4  # the class token has one,
    assert not gradient[:, 1:].any()  # the patches have none
    with pytest.raises(ModelError) as refused:
        gradcam(encoder, tokens, TEXT)
    assert refused.value.code == Code.GRADIENT_ZERO
    assert "cut the image tower before its last block" in refused.value.message


def test_the_output_of_the_last_block_is_refused_too(vit: SmallVit) -> None:
    last = vit.cut(DEPTH - 1)
    with pytest.raises(ModelError, match="GRADIENT-ZERO"):
        gradcam(last, last.tokens(speckle()), TEXT)


def test_before_the_last_block_every_patch_counts(vit: SmallVit) -> None:
    cut = before_last_block(vit)
    assert isinstance(vit, LayeredEncoder)
    assert cut.layer == DEPTH - 2
    gradients = patch_gradients(cut, cut.tokens(speckle()), TEXT)
    assert gradients.shape[1:] == (GRID, GRID)
    assert gradients.abs().amax(0).min() > 0


def test_an_encoder_without_blocks_is_taken_at_its_own_bottleneck() -> None:
    encoder = OnePlace((1, 1))
    assert before_last_block(encoder) is encoder


def test_the_gradient_is_that_of_the_scaled_cosine(vit: SmallVit) -> None:
    """Central differences in the direction of one channel of one patch."""
    cut = before_last_block(vit)
    tokens = cut.tokens(speckle())
    analytic = patch_gradients(cut, tokens, TEXT)[3, 1, 2]
    step = torch.zeros_like(tokens.values)
    step[3, 1 + 1 * GRID + 2] = 1e-2
    with torch.no_grad():
        ahead, behind = cut.finish(torch.stack([tokens.values + step, tokens.values - step])) @ TEXT
    assert analytic.item() == pytest.approx(((ahead - behind) * cut.scale / 2e-2).item(), rel=0.02, abs=1e-4)


def test_a_map_lies_in_zero_to_one_and_reaches_both(vit: SmallVit) -> None:
    cut = before_last_block(vit)
    found = [
        gradcam(cut, cut.tokens(speckle(seed=seed)), sign * TEXT) for seed in range(4) for sign in (1, -1)
    ]
    assert all(one.shape == (GRID, GRID) and one.min() == 0.0 and one.max() <= 1.0 for one in found)
    assert max(one.max() for one in found) == 1.0


def test_the_maximum_is_where_the_score_comes_from() -> None:
    """Only one cell counts; with a bright object there, the map of its channels peaks there."""
    image = np.full((60, 60, 3), 40, np.uint8)
    image[20:30, 40:50] = 250
    encoder = OnePlace((2, 4))
    found = gradcam(encoder, encoder.tokens(image), PLACE_TEXT)
    assert divmod(int(found.argmax()), 6) == (2, 4)


def test_an_image_whose_patches_do_not_count_is_an_error() -> None:
    encoder = Blind((0, 0))
    with pytest.raises(ModelError, match="GRADIENT-ZERO"):
        gradcam(encoder, encoder.tokens(speckle()), PLACE_TEXT)


def test_the_weights_are_left_as_they_were(vit: SmallVit) -> None:
    before = [weight.clone() for weight in vit.model.parameters()]
    cut = before_last_block(vit)
    gradcam(cut, cut.tokens(speckle()), TEXT)
    assert all(torch.equal(a, b) for a, b in zip(before, vit.model.parameters(), strict=True))
    assert all(weight.grad is None for weight in vit.model.parameters())
