"""The vision transformer: exact cuts."""

from dataclasses import replace

import pytest
import torch

from models.encoders.vit import VisionArchitecture, VisionTransformer
from tests.models.encoders.random_clip import randomised

SMALL = VisionArchitecture(width=48, depth=4, heads=3, side=80, embedding=10)
OPENAI = replace(SMALL, epsilon=1e-5, patch_bias=False, norm_before=True, quick_gelu=True)


@pytest.fixture(params=[SMALL, OPENAI], ids=["biomedclip", "openai"])
def tower(request) -> VisionTransformer:
    tower = VisionTransformer(request.param)
    randomised(tower, 3)
    return tower.requires_grad_(False)


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randn(2, 3, 80, 80, generator=torch.Generator().manual_seed(1))


def all_tokens_to_the_end(tower: VisionTransformer, pixels: torch.Tensor) -> torch.Tensor:
    """The tower without any cut: every block complete, then the class token."""
    values = tower.embed(pixels)
    for block in tower.blocks:
        values = block(values)
    return tower.projection(tower.norm(values)[:, 0])


def test_a_last_block_for_the_class_token_alone_is_the_whole_block(tower, pixels):
    assert torch.allclose(tower(pixels), all_tokens_to_the_end(tower, pixels), atol=1e-5)


@pytest.mark.parametrize("layer", range(4))
def test_a_cut_after_any_block_changes_nothing(tower, pixels, layer):
    cut = tower.finish(tower.prefix(pixels, layer), layer)
    assert torch.allclose(cut, all_tokens_to_the_end(tower, pixels), atol=1e-5)


@pytest.mark.parametrize("layer", range(4))
def test_a_gate_after_a_block_leaves_the_blocks_up_to_it_alone(tower, pixels, layer):
    values = tower.embed(pixels)
    for block in tower.blocks[: layer + 1]:
        values = block(values)
    assert torch.equal(tower.prefix(pixels, layer), values)


@pytest.mark.parametrize("layer", range(3))
def test_the_gradient_of_the_short_way_is_that_of_the_long_way(tower, pixels, layer):
    tokens = tower.prefix(pixels, layer).requires_grad_(True)
    values = tokens
    for block in tower.blocks[layer + 1 :]:
        values = block(values)
    (long,) = torch.autograd.grad(tower.projection(tower.norm(values)[:, 0]).sum(), tokens)
    (short,) = torch.autograd.grad(tower.finish(tokens, layer).sum(), tokens)
    assert torch.allclose(short, long, atol=1e-5)
    assert short[:, 1:].abs().amax(-1).min() > 0


def test_after_the_last_block_no_gradient_reaches_a_patch(tower, pixels):
    """Where the released gScoreCAM and GradCAM look: nothing after the last attention mixes tokens."""
    tokens = tower.prefix(pixels, 3).requires_grad_(True)
    (gradient,) = torch.autograd.grad(tower.finish(tokens, 3).sum(), tokens)
    assert gradient[:, 1:].abs().max() == 0.0
    assert gradient[:, 0].abs().max() > 0.0
