"""What every encoder of the CLIP family owes the method."""

import numpy as np
import pytest
import torch

from models.contracts import LayeredEncoder
from models.encoders import clip
from models.saliency.m2ib import M2ibSettings, m2ib
from tests.models.encoders.random_clip import small_biomedclip
from tests.models.toy import picture

IMAGE = picture(64, 128, [(20, 10, 50, 40)])


def test_it_is_a_layered_encoder_of_the_published_depth():
    encoder = small_biomedclip(depth=4)
    assert isinstance(encoder, LayeredEncoder)
    assert encoder.depth == 4
    assert encoder.scale == pytest.approx(85.2)


def test_tokens_are_the_class_token_and_the_patches_and_lie_where_the_frame_lies():
    tokens = small_biomedclip().tokens(IMAGE)
    assert tokens.values.shape == (32, 1 + 4 * 4)
    assert tokens.values.is_contiguous()
    assert tokens.grid(tokens.values[None, 0]).shape == (1, 4, 4)
    assert tokens.placement.covers == (0.0, -32.0, 128.0, 96.0)


@pytest.mark.parametrize("framing", ["fit", "crop"])
@pytest.mark.parametrize("layer", range(4))
def test_finishing_the_cached_tokens_is_the_whole_tower(layer, framing):
    encoder = small_biomedclip(layer=layer, framing=framing)
    pixels = encoder.preprocess(IMAGE)
    whole = encoder.encode_pixels(pixels.values[None], pixels.placement)
    cut = encoder.finish(encoder.tokens(IMAGE).values[None])
    assert torch.allclose(cut, whole, atol=1e-5)
    assert torch.allclose(whole.norm(dim=1), torch.ones(1))


def test_an_image_passes_the_lower_tower_once_for_all_cuts_and_any_copy_of_its_pixels():
    encoder = small_biomedclip()
    first = encoder.tokens(IMAGE)
    assert encoder.tokens(IMAGE.copy()) is first
    assert encoder.tokens(np.asfortranarray(IMAGE)) is first
    assert encoder.cut(2).cut(1).tokens(IMAGE) is first
    assert encoder.cut(2).tokens(IMAGE) is not first
    assert encoder.tokens(IMAGE.transpose(1, 0, 2)) is not first


def test_another_framing_shares_the_weights_and_mixes_no_tokens():
    encoder = small_biomedclip(framing="fit")
    other = encoder.framed("crop")
    assert other.vision is encoder.vision
    assert encoder.tokens(IMAGE).placement.covers == (0.0, -32.0, 128.0, 96.0)
    assert other.tokens(IMAGE).placement.covers == (32.0, 0.0, 96.0, 64.0)
    assert encoder.framing == "fit"


def test_the_cache_forgets_the_oldest_image_when_full(monkeypatch):
    monkeypatch.setattr(clip, "CACHE_BYTES", 1)
    encoder = small_biomedclip()
    first = encoder.tokens(IMAGE)
    encoder.tokens(picture(16, 16, []))
    assert encoder.tokens(IMAGE) is not first


def test_a_cut_shares_weights_and_leaves_the_encoder_it_came_from():
    encoder = small_biomedclip(layer=1)
    other = encoder.cut(3)
    assert other.vision is encoder.vision
    assert (encoder.layer, other.layer) == (1, 3)
    for outside in (-1, 4):
        with pytest.raises(ValueError, match="blocks 0 to 3"):
            encoder.cut(outside)


def test_a_text_has_the_same_bits_whatever_was_asked_beside_or_before_it():
    prompts = ["a lung", "the liver of a patient with a long history", "mass"]
    together = small_biomedclip().encode_text(prompts)
    other = small_biomedclip()
    alone = torch.cat([other.encode_text([prompt]) for prompt in reversed(prompts)]).flip(0)
    assert torch.equal(together, alone)
    assert torch.allclose(together.norm(dim=1), torch.ones(3))
    assert other.encode_text([]).shape == (0, 512)


def test_prompts_beyond_the_cache_are_still_answered(monkeypatch):
    monkeypatch.setattr(clip, "CACHE_PROMPTS", 1)
    encoder = small_biomedclip()
    first = encoder.encode_text(["a", "b", "a"])
    assert torch.equal(first[0], first[2])
    assert not torch.equal(first[0], first[1])


def test_many_images_at_once_are_what_they_are_alone():
    encoder = small_biomedclip()
    pixels = torch.stack([encoder.preprocess(picture(40, 40, [(k, k, 30, 30)])).values for k in range(3)])
    place = encoder.preprocess(picture(40, 40, [])).placement
    alone = torch.cat([encoder.encode_pixels(one[None], place) for one in pixels])
    assert torch.allclose(encoder.encode_pixels(pixels, place), alone, atol=1e-5)


def test_saliency_leaves_no_trace_on_the_weights():
    encoder = small_biomedclip()
    towers = [*encoder.vision.parameters(), *encoder.text.parameters()]
    before = [values.clone() for values in towers]
    tokens = encoder.tokens(IMAGE)
    kept = tokens.values.clone()
    maps = m2ib(
        encoder, tokens.values[None], encoder.encode_text(["a mass"]), [1], M2ibSettings(steps=3, copies=2)
    )
    assert maps.shape == (1, 17)
    assert all(torch.equal(a, b) for a, b in zip(towers, before, strict=True))
    assert all(values.grad is None and not values.requires_grad for values in towers)
    assert torch.equal(tokens.values, kept)


def test_the_map_from_cached_tokens_is_that_of_the_whole_tower_with_a_gate_in_it():
    """As published: every step passes all blocks, with the gate hooked behind one of them."""
    encoder = small_biomedclip()
    text, tokens = encoder.encode_text(["a mass"]), encoder.tokens(IMAGE)
    settings = M2ibSettings(beta=0.5, steps=5, copies=3)
    ours = m2ib(encoder, tokens.values[None], text, [7], settings)[0]

    generator = torch.Generator().manual_seed(7)
    gate = torch.full(tokens.values.shape, 5.0, requires_grad=True)
    optimiser = torch.optim.Adam([gate], lr=settings.rate)
    kept = torch.zeros(())

    def hook(module, inputs, output):
        nonlocal kept
        lam = torch.sigmoid(gate.T)
        mean, variance = lam * output[0], (1 - lam) ** 2
        kept = -0.5 * (1 + variance.log() - mean**2 - variance)
        noise = torch.randn(settings.copies, *gate.shape, generator=generator).transpose(1, 2)
        return mean + variance.sqrt() * noise

    handle = encoder.vision.blocks[encoder.layer].register_forward_hook(hook)
    pixels = encoder.preprocess(IMAGE).values.expand(settings.copies, -1, -1, -1)
    for _ in range(settings.steps):
        image = encoder.vision(pixels)
        loss = settings.beta * kept.mean() - torch.cosine_similarity(image, text).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    handle.remove()
    assert torch.allclose(ours, kept.detach().sum(1), atol=1e-3, rtol=1e-5)
