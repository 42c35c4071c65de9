"""The text tower of OpenAI's CLIP: a causal transformer read at the mark that ends the prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.encoders.text import TextBatch, padded
from models.encoders.transformer import Block

CONTEXT = 77
"""Tokens that the tower reads, start and end marks included."""


@dataclass(frozen=True)
class CausalArchitecture:
    """Shape of the tower."""

    width: int = 512
    depth: int = 12
    heads: int = 8
    embedding: int = 512
    vocabulary: int = 49408
    positions: int = CONTEXT
    epsilon: float = 1e-5
    quick_gelu: bool = True


class CausalTower(nn.Module):
    """Token numbers (N, T) in, text embeddings (N, embedding) out, not yet of unit length."""

    def __init__(self, architecture: CausalArchitecture) -> None:
        super().__init__()
        self.architecture = arch = architecture
        self.words = nn.Embedding(arch.vocabulary, arch.width)
        self.positions = nn.Parameter(torch.zeros(arch.positions, arch.width))
        self.blocks = nn.ModuleList(
            Block(arch.width, arch.heads, arch.epsilon, arch.quick_gelu) for _ in range(arch.depth)
        )
        self.norm = nn.LayerNorm(arch.width, arch.epsilon)
        self.projection = nn.Linear(arch.width, arch.embedding, bias=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Map ``ids`` (N, T) with ``mask`` (N, T), false on padding.

        Padding lies behind the end mark, where no token of the prompt looks.
        """
        values = self.words(ids) + self.positions[: ids.shape[1]]
        for block in self.blocks:
            values = block(values, causal=True)
        end = values[torch.arange(len(ids), device=ids.device), mask.sum(1) - 1]
        embedding: Tensor = self.projection(self.norm(end))
        return embedding


class BytePairTokenizer:
    """CLIP's own tokenizer, whose merges come with the open_clip package."""

    def __init__(self, context: int = CONTEXT) -> None:
        from open_clip.tokenizer import SimpleTokenizer  # seconds to import, and only this encoder needs it

        self.context = context
        self._tokenizer = SimpleTokenizer()

    def __call__(self, prompts: Sequence[str]) -> TextBatch:
        """Return the prompts as token numbers. Raises PromptError (PROMPT-TOO-LONG)."""
        start, end = self._tokenizer.sot_token_id, self._tokenizer.eot_token_id
        return padded([[start, *self._tokenizer.encode(prompt), end] for prompt in prompts], self.context)
