"""OpenAI's CLIP with random weights, against open_clip's own module."""

from dataclasses import replace

import pytest
import torch
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer

from models.encoders.causal_text import BytePairTokenizer, CausalTower
from models.encoders.openai_clip import ARCHITECTURES, NAMES, ClipArchitecture, OpenAiClip
from models.encoders.vit import VisionTransformer
from models.errors import ModelError
from tests.models.encoders.random_clip import randomised
from tests.models.toy import picture

PROMPTS = ["a photo of the left lung", "tumor", "an MRI of a brain with a large tumor in it"]


def theirs_of(architecture: ClipArchitecture) -> CLIP:
    """open_clip's module of the same shape."""
    vision, text = architecture.vision, architecture.text
    return CLIP(
        vision.embedding,
        {"image_size": vision.side, "layers": vision.depth, "width": vision.width, "patch_size": vision.patch}
        | {"head_width": vision.width // vision.heads},
        {"context_length": 77, "vocab_size": 49408, "width": text.width, "heads": text.heads}
        | {"layers": text.depth},
        quick_gelu=True,
    ).eval()


@pytest.fixture(scope="module")
def small() -> ClipArchitecture:
    """ViT-B/16 with narrow towers."""
    whole = ARCHITECTURES["ViT-B/16"]
    return ClipArchitecture(
        replace(whole.vision, width=48, heads=3, depth=4, embedding=20),
        replace(whole.text, width=32, heads=4, depth=3, embedding=20),
    )


@pytest.fixture(scope="module")
def theirs(small) -> CLIP:
    model = theirs_of(small).requires_grad_(False)
    randomised(model, 6)
    model.logit_scale.fill_(4.6052)
    return model


@pytest.fixture(scope="module")
def ours(theirs, small) -> OpenAiClip:
    return OpenAiClip.from_state(theirs.state_dict(), BytePairTokenizer(), small, layer=2, framing="crop")


def test_an_image_has_open_clip_s_embedding(theirs, ours):
    framed = ours.preprocess(picture(90, 140, [(30, 20, 80, 60)]))
    expected = theirs.encode_image(framed.values[None], normalize=True)
    assert torch.allclose(ours.encode_pixels(framed.values[None], framed.placement), expected, atol=1e-5)


def test_texts_have_open_clip_s_embeddings_though_it_pads_them_to_77(theirs, ours):
    expected = theirs.encode_text(SimpleTokenizer()(PROMPTS), normalize=True)
    assert torch.allclose(ours.encode_text(PROMPTS), expected, atol=1e-5)
    with torch.no_grad():
        batch = torch.nn.functional.normalize(ours.text(*ours.tokenizer(PROMPTS)), dim=1)
    assert torch.allclose(batch, expected, atol=1e-5)


def test_weights_go_back_under_open_clip_s_names(theirs, ours):
    state = theirs.state_dict()
    again = ours.state(NAMES)
    assert again.keys() == state.keys()
    assert all(torch.allclose(values, state[name]) for name, values in again.items())
    assert ours.scale == pytest.approx(100.0, abs=0.01)


def test_openai_s_own_file_is_the_same_in_half_precision_with_three_numbers_beside(theirs, ours, small):
    state = {name: values.half() for name, values in theirs.state_dict().items()}
    state |= {name: torch.tensor(224) for name in ("input_resolution", "context_length", "vocab_size")}
    again = OpenAiClip.from_state(state, BytePairTokenizer(), small, layer=2, framing="crop")
    image = picture(90, 140, [(30, 20, 80, 60)])
    assert again.tokens(image).values.dtype == torch.float32
    pair = [encoder.finish(encoder.tokens(image).values[None])[0] for encoder in (again, ours)]
    assert torch.nn.functional.cosine_similarity(*pair, dim=0) > 0.999


@pytest.mark.parametrize("model", ["ViT-B/32", "ViT-B/16", "ViT-L/14"])
def test_keys_and_shapes_of_the_published_models_are_open_clip_s(model):
    architecture = ARCHITECTURES[model]
    with torch.device("meta"):
        expected = theirs_of(architecture).state_dict()
        state = {f"vision.{k}": v for k, v in VisionTransformer(architecture.vision).state_dict().items()}
        state |= {f"text.{k}": v for k, v in CausalTower(architecture.text).state_dict().items()}
        state["logit_scale"] = torch.zeros(())
        found = NAMES.theirs(state)
    assert {name: values.shape for name, values in found.items()} == {
        name: values.shape for name, values in expected.items()
    }


@pytest.mark.parametrize(("model", "parameters"), [("ViT-B/32", 151_277_313), ("ViT-L/14", 427_616_513)])
def test_the_towers_have_as_many_numbers_as_published(model, parameters):
    architecture = ARCHITECTURES[model]
    with torch.device("meta"):
        towers = VisionTransformer(architecture.vision), CausalTower(architecture.text)
    assert 1 + sum(p.numel() for tower in towers for p in tower.parameters()) == parameters


def test_weights_of_another_size_are_refused(theirs):
    with pytest.raises(ModelError, match=r"missing: .*transformer\.resblocks"):
        OpenAiClip.from_state(theirs.state_dict(), BytePairTokenizer(), ARCHITECTURES["ViT-B/32"])
