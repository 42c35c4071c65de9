"""What a text tower is given: prompts as padded rows of token numbers."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from models.errors import Code, PromptError


class TextBatch(NamedTuple):
    """Token numbers ``ids`` (N, T) int64, and ``mask`` (N, T) bool: false on padding."""

    ids: Tensor
    mask: Tensor


class PromptTokenizer(Protocol):
    """Turns prompts into token numbers."""

    def __call__(self, prompts: Sequence[str]) -> TextBatch:
        """Return the prompts padded to the longest. Raises PromptError (PROMPT-TOO-LONG)."""


def padded(rows: Sequence[Sequence[int]], context: int) -> TextBatch:
    """Pad rows of token numbers, start and end marks included, at the right with zeros.

    Raises PromptError (PROMPT-TOO-LONG) for a row of more than ``context`` tokens: cutting words off would
    change what is asked for without a word.
    """
    longest = max(map(len, rows), default=0)
    if longest > context:
        raise PromptError(
            Code.PROMPT_TOO_LONG,
            f"The prompt has {longest} tokens with its start and end marks; this text tower reads at most "
            f"{context}. Shorten it.",
        )
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    for row, values in zip(ids, rows, strict=True):
        row[: len(values)] = torch.tensor(values)
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
    return TextBatch(ids, torch.arange(longest) < lengths[:, None])
