"""The text tower of the lite bundle: all-MiniLM-L6-v2 from its files, frozen.

Mean over the tokens of the last layer, then unit length, as its authors use it. Padding is masked, so that a
sentence has the same embedding alone and in a batch.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BertConfig, BertModel

WIDTH = 384
MAX_TOKENS = 256


class MiniLm(nn.Module):
    """Sentences in, unit rows (N, 384) out."""

    def __init__(self, weights: Path, configuration: Path, tokenizer: Path) -> None:
        """Load from ``model.safetensors``, ``config.json`` and ``tokenizer.json``."""
        super().__init__()
        self.bert = BertModel(BertConfig.from_json_file(configuration), add_pooling_layer=False)
        state = {name.removeprefix("bert."): value for name, value in load_file(weights).items()}
        state = {name: value for name, value in state.items() if not name.startswith("pooler.")}
        missing, unexpected = self.bert.load_state_dict(state, strict=False)
        wrong = [n for n in (*missing, *unexpected) if not n.endswith("position_ids")]
        if wrong:
            raise ValueError(f"{weights}: not the weights of this text tower, see {wrong[:3]}")
        self.tokenizer = Tokenizer.from_file(str(tokenizer))
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.tokenizer.enable_padding()
        self.requires_grad_(False)
        self.eval()

    @torch.inference_mode()
    def forward(self, sentences: Sequence[str]) -> Tensor:
        """Return (N, 384) float32 rows of unit length."""
        encoded = self.tokenizer.encode_batch(list(sentences))
        device = next(self.parameters()).device
        tokens = torch.tensor([e.ids for e in encoded], device=device)
        mask = torch.tensor([e.attention_mask for e in encoded], device=device)
        hidden = self.bert(input_ids=tokens, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        return F.normalize((hidden * weight).sum(1) / weight.sum(1), dim=1)
