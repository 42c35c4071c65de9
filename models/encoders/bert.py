"""BiomedCLIP's text tower: PubMedBERT, the class token of its last layer, and a two-layer projection."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn

from models.encoders.text import TextBatch, padded
from models.encoders.transformer import Attention, Mlp
from models.errors import Code, ModelError

CONTEXT = 256
"""Tokens that BiomedCLIP was trained with, start and end marks included; the position table holds more."""


@dataclass(frozen=True)
class TextArchitecture:
    """Shape of the tower; the projection is ``width`` to ``hidden`` to ``embedding`` without bias."""

    vocabulary: int = 30522
    positions: int = 512
    width: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int = 640
    embedding: int = 512
    epsilon: float = 1e-12


class BertLayer(nn.Module):
    """A transformer block that normalises after attention and after the MLP."""

    def __init__(self, width: int, heads: int, epsilon: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.norm1 = nn.LayerNorm(width, epsilon)
        self.mlp = Mlp(width, 4 * width, width)
        self.norm2 = nn.LayerNorm(width, epsilon)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Map tokens (N, T, C) to (N, T, C); no token looks at padding."""
        values = self.norm1(values + self.attention(values, mask))
        mapped: Tensor = self.norm2(values + self.mlp(values))
        return mapped


class BertTower(nn.Module):
    """Token numbers (N, T) in, text embeddings (N, embedding) out, not yet of unit length."""

    def __init__(self, architecture: TextArchitecture) -> None:
        super().__init__()
        self.architecture = arch = architecture
        self.words = nn.Embedding(arch.vocabulary, arch.width)
        self.positions = nn.Embedding(arch.positions, arch.width)
        self.types = nn.Embedding(2, arch.width)
        self.norm = nn.LayerNorm(arch.width, arch.epsilon)
        self.layers = nn.ModuleList(
            BertLayer(arch.width, arch.heads, arch.epsilon) for _ in range(arch.depth)
        )
        self.head = Mlp(arch.width, arch.hidden, arch.embedding, bias=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Map ``ids`` (N, T) with ``mask`` (N, T), false on padding; padding changes no row."""
        # All tokens are of type 0: there is only one sentence.
        values = self.words(ids) + self.positions.weight[: ids.shape[1]] + self.types.weight[0]
        values = self.norm(values)
        for layer in self.layers:
            values = layer(values, mask)
        embedding: Tensor = self.head(values[:, 0])
        return embedding


class WordPieceTokenizer:
    """PubMedBERT's own tokenizer, uncased, from ``vocab.txt`` or ``tokenizer.json`` in a local folder.

    Raises
    ------
    ModelError
        MODEL-MISSING where neither file is there; BUNDLE-INVALID where one holds no such vocabulary.
    """

    def __init__(self, folder: Path, context: int = CONTEXT) -> None:
        numbers = _vocabulary(folder)
        absent = [mark for mark in ("[PAD]", "[UNK]", "[CLS]", "[SEP]") if mark not in numbers]
        if absent:
            message = f"{folder}: no {', '.join(absent)} in the tokenizer's vocabulary; bring the model's own"
            raise ModelError(Code.BUNDLE_INVALID, message)
        self.context = context
        self.vocabulary = 1 + max(numbers.values())
        self._tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))  # noqa: S106
        self._tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        self._tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self._tokenizer.post_processor = processors.BertProcessing(
            ("[SEP]", numbers["[SEP]"]), ("[CLS]", numbers["[CLS]"])
        )

    def __call__(self, prompts: Sequence[str]) -> TextBatch:
        """Return the prompts as token numbers. Raises PromptError (PROMPT-TOO-LONG)."""
        return padded([row.ids for row in self._tokenizer.encode_batch(list(prompts))], self.context)


def _vocabulary(folder: Path) -> dict[str, int]:
    words, whole = folder / "vocab.txt", folder / "tokenizer.json"
    if words.is_file():
        return {word: n for n, word in enumerate(words.read_text(encoding="utf-8").splitlines())}
    if not whole.is_file():
        message = f"{folder}: neither vocab.txt nor tokenizer.json; copy the text tower's tokenizer there"
        raise ModelError(Code.MODEL_MISSING, message)
    try:
        # Only the vocabulary is taken: both files then give the same tokenizer.
        numbers: dict[str, int] = json.loads(whole.read_text(encoding="utf-8"))["model"]["vocab"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(Code.BUNDLE_INVALID, f"{whole}: no vocabulary in it ({error!r})") from error
    return numbers
