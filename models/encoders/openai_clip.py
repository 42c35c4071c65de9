"""OpenAI's CLIP with a vision transformer: ViT-B/32, ViT-B/16 and ViT-L/14.

OpenAI's own state dict and open_clip's have the same names. The models that open_clip trained itself have an
exact GELU and are not read here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch

from models.encoders.causal_text import BytePairTokenizer, CausalArchitecture, CausalTower
from models.encoders.checkpoint import Names, State, load, read_state
from models.encoders.clip import ClipEncoder
from models.encoders.framing import Framing
from models.encoders.text import PromptTokenizer
from models.encoders.vit import VisionArchitecture, VisionTransformer

_VISION, _TEXT = "visual.transformer.resblocks.{n}.", "transformer.resblocks.{n}."

NAMES = Names(
    "OpenAI's names",
    {
        "logit_scale": "logit_scale",
        "vision.class_token": "visual.class_embedding",
        "vision.positions": "visual.positional_embedding",
        "vision.patches.{p}": "visual.conv1.{p}",
        "vision.norm_before.{p}": "visual.ln_pre.{p}",
        "vision.blocks.{n}.norm1.{p}": _VISION + "ln_1.{p}",
        "vision.blocks.{n}.attention.qkv.{p}": _VISION + "attn.in_proj_{p}",
        "vision.blocks.{n}.attention.out.{p}": _VISION + "attn.out_proj.{p}",
        "vision.blocks.{n}.norm2.{p}": _VISION + "ln_2.{p}",
        "vision.blocks.{n}.mlp.expand.{p}": _VISION + "mlp.c_fc.{p}",
        "vision.blocks.{n}.mlp.contract.{p}": _VISION + "mlp.c_proj.{p}",
        "vision.norm.{p}": "visual.ln_post.{p}",
        "vision.projection.weight": "visual.proj",
        "text.words.{p}": "token_embedding.{p}",
        "text.positions": "positional_embedding",
        "text.blocks.{n}.norm1.{p}": _TEXT + "ln_1.{p}",
        "text.blocks.{n}.attention.qkv.{p}": _TEXT + "attn.in_proj_{p}",
        "text.blocks.{n}.attention.out.{p}": _TEXT + "attn.out_proj.{p}",
        "text.blocks.{n}.norm2.{p}": _TEXT + "ln_2.{p}",
        "text.blocks.{n}.mlp.expand.{p}": _TEXT + "mlp.c_fc.{p}",
        "text.blocks.{n}.mlp.contract.{p}": _TEXT + "mlp.c_proj.{p}",
        "text.norm.{p}": "ln_final.{p}",
        "text.projection.weight": "text_projection",
    },
    unit_axes={},
    transposed=frozenset({"visual.proj", "text_projection"}),
    unused=frozenset({"input_resolution", "context_length", "vocab_size", "attn_mask"}),
)


@dataclass(frozen=True)
class ClipArchitecture:
    """Both towers of one model."""

    vision: VisionArchitecture
    text: CausalArchitecture


def _vision(patch: int, width: int = 768, depth: int = 12, embedding: int = 512) -> VisionArchitecture:
    return VisionArchitecture(
        width=width,
        depth=depth,
        heads=width // 64,
        patch=patch,
        embedding=embedding,
        epsilon=1e-5,
        patch_bias=False,
        norm_before=True,
        quick_gelu=True,
    )


ARCHITECTURES = {
    "ViT-B/32": ClipArchitecture(_vision(32), CausalArchitecture()),
    "ViT-B/16": ClipArchitecture(_vision(16), CausalArchitecture()),
    "ViT-L/14": ClipArchitecture(
        _vision(14, width=1024, depth=24, embedding=768),
        CausalArchitecture(width=768, heads=12, embedding=768),
    ),
}


class OpenAiClip(ClipEncoder):
    """OpenAI's CLIP as a :class:`models.contracts.LayeredEncoder`."""

    @classmethod
    def from_state(
        cls,
        state: State,
        tokenizer: PromptTokenizer,
        architecture: ClipArchitecture,
        layer: int = 9,
        framing: Framing = "fit",
    ) -> Self:
        """Build the encoder from weights. Raises ModelError (BUNDLE-INVALID)."""
        with torch.device("meta"):
            towers = VisionTransformer(architecture.vision), CausalTower(architecture.text)
        scale = load(state, (NAMES,), {"vision": towers[0], "text": towers[1]})
        return cls(*towers, tokenizer, scale, layer, framing)

    @classmethod
    def from_file(cls, weights: Path, model: str, layer: int = 9, framing: Framing = "fit") -> Self:
        """Read the weights' file of ``model``, a key of ``ARCHITECTURES``. Raises ModelError."""
        return cls.from_state(read_state(weights), BytePairTokenizer(), ARCHITECTURES[model], layer, framing)
