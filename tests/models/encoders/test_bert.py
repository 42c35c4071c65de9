"""BiomedCLIP's text tower and its tokenizer."""

import json
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from models.encoders.bert import BertTower, TextArchitecture, WordPieceTokenizer
from models.encoders.text import padded
from models.errors import Code, ModelError, PromptError
from tests.models.encoders.random_clip import randomised

MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["a", "left", "lung", "tumor", "hypo", "##echo", "##ic", "mass", ",", "-", "mri", "肺", "ё", "e"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vocab.txt").write_text("\n".join([*MARKS, *WORDS]) + "\n", encoding="utf-8")
    return tmp_path


def test_tokens_are_those_of_the_library_that_the_model_was_made_with(folder):
    prompts = ["A Left  lung,\ttumor", "hypoechoic mass - MRI", "肺 lung unknownword", "Ëё é", ""]
    theirs = BertTokenizer(str(folder / "vocab.txt"))
    ours = WordPieceTokenizer(folder)(prompts)
    for prompt, ids, mask in zip(prompts, *ours, strict=True):
        assert ids[mask].tolist() == theirs(prompt)["input_ids"]


def test_both_files_of_a_tokenizer_give_the_same_tokens(folder, tmp_path):
    (tmp_path / "json").mkdir()
    vocabulary = {word: number for number, word in enumerate([*MARKS, *WORDS])}
    written = {"model": {"type": "WordPiece", "vocab": vocabulary}}
    (tmp_path / "json" / "tokenizer.json").write_text(json.dumps(written), encoding="utf-8")
    by_json, by_text = WordPieceTokenizer(tmp_path / "json"), WordPieceTokenizer(folder)
    assert torch.equal(by_json(["a mass"]).ids, by_text(["a mass"]).ids)
    assert by_json.vocabulary == by_text.vocabulary == len(vocabulary)


def test_a_prompt_of_256_tokens_is_read_and_a_longer_one_refused(folder):
    tokenizer = WordPieceTokenizer(folder)
    assert tokenizer(["lung " * 254]).ids.shape == (1, 256)
    with pytest.raises(PromptError, match="257 tokens") as refused:
        tokenizer(["a mass", "lung " * 255])
    assert refused.value.code == Code.PROMPT_TOO_LONG


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("other.txt", "", Code.MODEL_MISSING),
        ("vocab.txt", "lung\nmass\n", Code.BUNDLE_INVALID),
        ("tokenizer.json", "{", Code.BUNDLE_INVALID),
        ("tokenizer.json", "[]", Code.BUNDLE_INVALID),
        ("tokenizer.json", "{}", Code.BUNDLE_INVALID),
    ],
)
def test_a_folder_without_a_tokenizer_says_so(tmp_path, name, content, code):
    (tmp_path / name).write_text(content)
    with pytest.raises(ModelError) as refused:
        WordPieceTokenizer(tmp_path)
    assert refused.value.code == code


@pytest.fixture
def tower() -> BertTower:
    tower = BertTower(TextArchitecture(vocabulary=60, positions=32, width=24, depth=3, heads=2, hidden=20))
    randomised(tower, 5)
    return tower.requires_grad_(False)


def test_a_row_in_a_padded_batch_is_the_row_alone(tower):
    rows = [[2, 7, 3], [2, *range(10, 40), 3][:32], [2, 3]]
    together = tower(*padded(rows, 256))
    alone = torch.cat([tower(*padded([row], 256)) for row in rows])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_tower_is_bert(tower):
    """Layer for layer the library's model, given the same weights."""
    config = BertConfig(
        vocab_size=60,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=96,
        max_position_embeddings=32,
    )
    theirs = BertModel(config, add_pooling_layer=False).eval()
    own = tower.state_dict()
    state = {}
    for name in theirs.state_dict():
        if "attention.self" in name:
            number, which, kind = name.split(".")[2], name.split(".")[5], name.split(".")[6]
            parts = own[f"layers.{number}.attention.qkv.{kind}"].chunk(3)
            state[name] = parts[["query", "key", "value"].index(which)]
            continue
        ours = name.replace("encoder.layer.", "layers.").replace("embeddings.LayerNorm", "norm")
        ours = ours.replace("embeddings.word_embeddings", "words")
        ours = ours.replace("embeddings.position_embeddings", "positions")
        ours = ours.replace("embeddings.token_type_embeddings", "types")
        ours = ours.replace("attention.output.dense", "attention.out")
        ours = ours.replace("attention.output.LayerNorm", "norm1").replace("output.LayerNorm", "norm2")
        ours = ours.replace("intermediate.dense", "mlp.expand").replace("output.dense", "mlp.contract")
        state[name] = own[ours]
    theirs.load_state_dict(state)
    batch = padded([[2, 7, 9, 3], [2, 8, 3]], 256)
    with torch.no_grad():
        hidden = theirs(input_ids=batch.ids, attention_mask=batch.mask.long()).last_hidden_state[:, 0]
    assert torch.allclose(tower(*batch), tower.head(hidden), atol=1e-5)
