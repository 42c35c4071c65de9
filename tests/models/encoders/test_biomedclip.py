"""BiomedCLIP of full size with random weights, against open_clip's own model and the port's list of keys.

No pretrained weights and no network are needed: open_clip builds the model from a local configuration.
"""

import gc
import json
import socket
from pathlib import Path

import pytest
import torch

from models.encoders.bert import BertTower, TextArchitecture, WordPieceTokenizer
from models.encoders.biomedclip import OPEN_CLIP, PORT, BiomedClip
from models.encoders.vit import VisionArchitecture, VisionTransformer
from models.errors import Code, ModelError
from tests.models.encoders.random_clip import randomised
from tests.models.toy import picture

PARTS = ("q", "k", "v")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "photo", "of", "the", "left", "lung", "tumor", "in", "mri"]
PROMPTS = ["a tumor", "the left lung in a mri of the left lung", "lung"]
VISION = {"timm_model_name": "vit_base_patch16_224", "timm_model_pretrained": False, "timm_pool": ""}
VISION |= {"timm_proj": "linear", "image_size": 224}
TEXT = {"hf_model_pretrained": False, "hf_proj_type": "mlp", "context_length": 256}
TEXT |= {"hf_pooler_type": "cls_last_hidden_state_pooler"}


@pytest.fixture(scope="module", autouse=True)
def no_network():
    """Whoever reaches for a hub fails here."""

    def refuse(*arguments, **keywords):
        raise AssertionError("a network was asked for")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "create_connection", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The configuration and vocabulary of the text tower; words that nobody says fill its 30,522 rows."""
    folder = tmp_path_factory.mktemp("pubmedbert")
    filler = [f"[unused{number}]" for number in range(30522 - len(WORDS))]
    (folder / "vocab.txt").write_text("\n".join(WORDS + filler) + "\n")
    config = {"model_type": "bert", "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12}
    config |= {
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    return folder


@pytest.fixture(scope="module")
def theirs(folder):
    """open_clip's module, built once and freed after this file."""
    from open_clip.model import CustomTextCLIP

    model = CustomTextCLIP(512, VISION, TEXT | {"hf_model_name": str(folder)}).eval().requires_grad_(False)
    randomised(model.visual, 1)
    randomised(model.text, 2)
    model.logit_scale.fill_(4.4454)
    yield model
    del model
    gc.collect()


@pytest.fixture(scope="module")
def ours(theirs, folder) -> BiomedClip:
    return BiomedClip.from_state(theirs.state_dict(), WordPieceTokenizer(folder), framing="crop")


def test_weights_under_open_clip_s_names_are_all_of_them_and_no_more(theirs, ours):
    assert ours.state(OPEN_CLIP).keys() == theirs.state_dict().keys()
    shapes = {name: values.shape for name, values in theirs.state_dict().items()}
    assert {name: values.shape for name, values in ours.state(OPEN_CLIP).items()} == shapes


def test_an_image_has_open_clip_s_embedding(theirs, ours):
    from open_clip.transform import image_transform
    from PIL import Image as Picture

    image = picture(150, 220, [(60, 30, 130, 100)])
    normal = {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}
    pixels = image_transform(224, is_train=False, **normal)(Picture.fromarray(image))[None]
    with torch.no_grad():
        expected = theirs.encode_image(pixels, normalize=True)
    framed = ours.preprocess(image)
    assert torch.allclose(ours.encode_pixels(framed.values[None], framed.placement), expected, atol=1e-5)
    assert torch.allclose(ours.finish(ours.tokens(image).values[None]), expected, atol=1e-5)


def test_texts_have_open_clip_s_embeddings_alone_and_padded_in_a_batch(theirs, ours, folder):
    from open_clip.tokenizer import HFTokenizer

    with torch.no_grad():
        expected = theirs.encode_text(HFTokenizer(str(folder), context_length=64)(PROMPTS), normalize=True)
        batch = torch.nn.functional.normalize(ours.text(*ours.tokenizer(PROMPTS)), dim=1)
    assert torch.allclose(ours.encode_text(PROMPTS), expected, atol=1e-5)
    assert torch.allclose(batch, expected, atol=1e-5)


def test_the_scale_is_the_exponential_of_what_is_stored(ours):
    assert ours.scale == pytest.approx(85.2, abs=0.1)


def keys_of_the_port() -> set[str]:
    """Every key of the Hugging Face port's file, by its rule."""

    def pair(name: str) -> set[str]:
        return {f"{name}.weight", f"{name}.bias"}

    keys = {"logit_scale", "visual_projection.weight", *pair("vision_model.post_layernorm")}
    keys |= {"vision_model.embeddings.class_embedding", "vision_model.embeddings.position_embedding.weight"}
    keys |= pair("vision_model.embeddings.patch_embedding")
    for table in ("token", "position", "token_type"):
        keys.add(f"text_model.embeddings.{table}_embedding.weight")
    keys |= pair("text_model.embeddings.layer_norm")
    keys |= {"text_projection.fc1.weight", "text_projection.fc2.weight"}
    for tower in ("vision_model", "text_model"):
        for number in range(12):
            layer = f"{tower}.encoder.layers.{number}"
            for name in ("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2", "self_attn.out_proj"):
                keys |= pair(f"{layer}.{name}")
            for part in PARTS:
                keys |= pair(f"{layer}.self_attn.{part}_proj")
    return keys


def test_weights_under_the_port_s_names_are_its_list_of_keys():
    with torch.device("meta"):
        towers = VisionTransformer(VisionArchitecture()), BertTower(TextArchitecture())
    own = {f"vision.{name}" for name in towers[0].state_dict()}
    own |= {f"text.{name}" for name in towers[1].state_dict()} | {"logit_scale"}
    assert {name for key in own for name in PORT.of(key)} == keys_of_the_port()
    assert len(keys_of_the_port()) == 399


RENAMED = {
    "visual.head.proj": "visual_projection",
    "visual.trunk.norm": "vision_model.post_layernorm",
    "visual.trunk.patch_embed.proj": "vision_model.embeddings.patch_embedding",
    "visual.trunk.blocks": "vision_model.encoder.layers",
    "text.transformer.embeddings.token_type_embeddings": "text_model.embeddings.token_type_embedding",
    "text.transformer.embeddings.word_embeddings": "text_model.embeddings.token_embedding",
    "text.transformer.embeddings.position_embeddings": "text_model.embeddings.position_embedding",
    "text.transformer.embeddings.LayerNorm": "text_model.embeddings.layer_norm",
    "text.transformer.encoder.layer": "text_model.encoder.layers",
    "attention.self.key": "self_attn.k_proj",
    "attention.self.query": "self_attn.q_proj",
    "attention.self.value": "self_attn.v_proj",
    "attention.output.dense": "self_attn.out_proj",
    "attention.output.LayerNorm": "layer_norm1",
    "intermediate.dense": "mlp.fc1",
    "output.LayerNorm": "layer_norm2",
    "output.dense": "mlp.fc2",
    "attn.proj": "self_attn.out_proj",
    ".norm1": ".layer_norm1",
    ".norm2": ".layer_norm2",
    "text.proj.0": "text_projection.fc1",
    "text.proj.2": "text_projection.fc2",
}


def as_the_port_does(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The published conversion: renaming by rule, q, k and v apart, unit axes gone."""
    converted = {}
    for name, values in state.items():
        if ".attn.qkv." in name:
            number, kind = name.split(".")[3], name.rsplit(".", 1)[1]
            for part, third in zip(PARTS, values.chunk(3), strict=True):
                key = f"vision_model.encoder.layers.{number}.self_attn.{part}_proj.{kind}"
                converted[key] = third
        elif name == "visual.trunk.cls_token":
            converted["vision_model.embeddings.class_embedding"] = values[0, 0]
        elif name == "visual.trunk.pos_embed":
            converted["vision_model.embeddings.position_embedding.weight"] = values[0]
        else:
            for old, new in RENAMED.items():
                name = name.replace(old, new)  # noqa: PLW2901
            converted[name] = values
    return converted


def test_the_port_s_file_gives_the_identical_model(theirs, ours, folder):
    port = as_the_port_does(theirs.state_dict())
    assert port.keys() == keys_of_the_port()
    again = BiomedClip.from_state(port, WordPieceTokenizer(folder), framing="crop")
    image = picture(100, 100, [(20, 20, 70, 60)])
    assert torch.equal(again.tokens(image).values, ours.tokens(image).values)
    finished = (encoder.finish(encoder.tokens(image).values[None]) for encoder in (again, ours))
    assert torch.equal(*finished)
    assert torch.equal(again.encode_text(PROMPTS), ours.encode_text(PROMPTS))
    assert all(torch.equal(values, port[name]) for name, values in ours.state(PORT).items())


def test_a_tokenizer_of_another_model_is_refused(theirs, tmp_path):
    torch.save(theirs.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    with pytest.raises(ModelError, match="13 tokens, but the text tower knows 30522") as refused:
        BiomedClip.from_files(tmp_path / "open_clip_pytorch_model.bin", tmp_path)
    assert refused.value.code == Code.BUNDLE_INVALID
