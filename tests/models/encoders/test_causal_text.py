"""The text tower of OpenAI's CLIP and its tokenizer."""

import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer

from models.encoders.causal_text import BytePairTokenizer, CausalArchitecture, CausalTower
from models.encoders.text import padded
from models.errors import Code, PromptError
from tests.models.encoders.random_clip import randomised


def test_tokens_are_those_of_open_clip_without_its_padding_to_77():
    prompts = ["A photo of the left lung", "tumeur cérébrale", "肺", ""]
    ids, mask = BytePairTokenizer()(prompts)
    theirs = SimpleTokenizer()(prompts)
    assert torch.equal(ids, theirs[:, : ids.shape[1]])
    assert theirs[:, ids.shape[1] :].abs().sum() == 0
    assert mask.sum(1).tolist() == [8, *(int((row > 0).sum()) for row in theirs[1:])]


def test_a_prompt_of_77_tokens_is_read_and_a_longer_one_refused():
    tokenizer = BytePairTokenizer()
    assert tokenizer(["lung " * 75]).ids.shape == (1, 77)
    with pytest.raises(PromptError, match="at most 77") as refused:
        tokenizer(["lung " * 76])
    assert refused.value.code == Code.PROMPT_TOO_LONG


def test_a_row_in_a_padded_batch_is_the_row_alone():
    tower = CausalTower(CausalArchitecture(width=24, depth=3, heads=2, vocabulary=60, embedding=8))
    randomised(tower, 4)
    rows = [[58, 7, 59], [58, *range(10, 40), 59], [58, 59]]
    with torch.no_grad():
        together = tower(*padded(rows, 77))
        alone = torch.cat([tower(*padded([row], 77)) for row in rows])
    assert torch.allclose(together, alone, atol=1e-5)
