"""The parts that the transformers of CLIP's towers have in common."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class QuickGelu(nn.Module):
    """``x sigmoid(1.702 x)``, the activation that OpenAI's CLIP was trained with."""

    def forward(self, values: Tensor) -> Tensor:
        """Elementwise."""
        return values * torch.sigmoid(1.702 * values)


class Attention(nn.Module):
    """Multi-head self-attention over tokens (N, T, C); query, key and value in one matrix."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, values: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """Let every token look at all, at those where ``mask`` (N, T) is true, or at those before it."""
        query, key, value = (self._by_head(part) for part in self.qkv(values).chunk(3, dim=-1))
        seen = None if mask is None else mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(query, key, value, seen, is_causal=causal)
        return self._merge(mixed)

    def first(self, values: Tensor) -> Tensor:
        """Return what the first token alone takes from all of (N, T, C): (N, 1, C)."""
        width = values.shape[-1]
        weight, bias = self.qkv.weight, self.qkv.bias
        query = self._by_head(F.linear(values[:, :1], weight[:width], bias[:width]))
        key, value = F.linear(values, weight[width:], bias[width:]).chunk(2, dim=-1)
        mixed = F.scaled_dot_product_attention(query, self._by_head(key), self._by_head(value))
        return self._merge(mixed)

    def _by_head(self, values: Tensor) -> Tensor:
        parts: Tensor = values.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return parts

    def _merge(self, values: Tensor) -> Tensor:
        merged: Tensor = self.out(values.transpose(1, 2).flatten(2))
        return merged


class Mlp(nn.Module):
    """Two linear layers with an activation between."""

    def __init__(
        self, width: int, hidden: int, out: int, quick_gelu: bool = False, bias: bool = True
    ) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden, bias)
        self.activation = QuickGelu() if quick_gelu else nn.GELU()
        self.contract = nn.Linear(hidden, out, bias)

    def forward(self, values: Tensor) -> Tensor:
        """Map (..., width) to (..., out)."""
        mapped: Tensor = self.contract(self.activation(self.expand(values)))
        return mapped


class Block(nn.Module):
    """A transformer block that normalises before attention and before the MLP."""

    def __init__(self, width: int, heads: int, epsilon: float, quick_gelu: bool = False) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, epsilon)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, epsilon)
        self.mlp = Mlp(width, 4 * width, width, quick_gelu)

    def forward(self, values: Tensor, causal: bool = False) -> Tensor:
        """Map tokens (N, T, C) to (N, T, C)."""
        values = values + self.attention(self.norm1(values), causal=causal)
        mapped: Tensor = values + self.mlp(self.norm2(values))
        return mapped

    def first(self, values: Tensor) -> Tensor:
        """Return the first token (N, 1, C) of what ``forward`` returns, without computing the others."""
        token = values[:, :1] + self.attention.first(self.norm1(values))
        mapped: Tensor = token + self.mlp(self.norm2(token))
        return mapped
