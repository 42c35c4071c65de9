"""BiomedCLIP: ViT-B/16 and PubMedBERT, from open_clip's file or from that of the Hugging Face port.

Both files hold the same weights under other names. The port's program is not used: it computes the norms of
the image tower with an epsilon of 1e-12 where the tower was trained with 1e-6.

Upstream: BiomedCLIP-PubMedBERT_256-vit_base_patch16_224, and BiomedCLIP-vit-bert-hf by chuhac, which
MedCLIP-SAMv2 loads and in whose names its fine-tuned weights are published.
"""

from pathlib import Path
from typing import Self

import torch

from models.encoders.bert import BertTower, TextArchitecture, WordPieceTokenizer
from models.encoders.checkpoint import Names, State, load, read_state
from models.encoders.clip import ClipEncoder
from models.encoders.framing import Framing
from models.encoders.text import PromptTokenizer
from models.encoders.vit import VisionArchitecture, VisionTransformer
from models.errors import Code, ModelError

# Ours, open_clip's, the port's. The first row of a part is what its names begin with.
_TABLE = (
    (
        ("", "", ""),
        ("logit_scale", "logit_scale", "logit_scale"),
        ("vision.norm.{p}", "visual.trunk.norm.{p}", "vision_model.post_layernorm.{p}"),
        ("vision.projection.{p}", "visual.head.proj.{p}", "visual_projection.{p}"),
        ("text.head.expand.{p}", "text.proj.0.{p}", "text_projection.fc1.{p}"),
        ("text.head.contract.{p}", "text.proj.2.{p}", "text_projection.fc2.{p}"),
    ),
    (
        ("vision.", "visual.trunk.", "vision_model.embeddings."),
        ("class_token", "cls_token", "class_embedding"),
        ("positions", "pos_embed", "position_embedding.weight"),
        ("patches.{p}", "patch_embed.proj.{p}", "patch_embedding.{p}"),
    ),
    (
        ("vision.blocks.{n}.", "visual.trunk.blocks.{n}.", "vision_model.encoder.layers.{n}."),
        ("norm1.{p}", "norm1.{p}", "layer_norm1.{p}"),
        ("attention.qkv.{p}", "attn.qkv.{p}", "self_attn.[q|k|v]_proj.{p}"),
        ("attention.out.{p}", "attn.proj.{p}", "self_attn.out_proj.{p}"),
        ("norm2.{p}", "norm2.{p}", "layer_norm2.{p}"),
        ("mlp.expand.{p}", "mlp.fc1.{p}", "mlp.fc1.{p}"),
        ("mlp.contract.{p}", "mlp.fc2.{p}", "mlp.fc2.{p}"),
    ),
    (
        ("text.", "text.transformer.embeddings.", "text_model.embeddings."),
        ("words.{p}", "word_embeddings.{p}", "token_embedding.{p}"),
        ("positions.{p}", "position_embeddings.{p}", "position_embedding.{p}"),
        ("types.{p}", "token_type_embeddings.{p}", "token_type_embedding.{p}"),
        ("norm.{p}", "LayerNorm.{p}", "layer_norm.{p}"),
    ),
    (
        ("text.layers.{n}.", "text.transformer.encoder.layer.{n}.", "text_model.encoder.layers.{n}."),
        ("attention.qkv.{p}", "attention.self.[query|key|value].{p}", "self_attn.[q|k|v]_proj.{p}"),
        ("attention.out.{p}", "attention.output.dense.{p}", "self_attn.out_proj.{p}"),
        ("norm1.{p}", "attention.output.LayerNorm.{p}", "layer_norm1.{p}"),
        ("mlp.expand.{p}", "intermediate.dense.{p}", "mlp.fc1.{p}"),
        ("mlp.contract.{p}", "output.dense.{p}", "mlp.fc2.{p}"),
        ("norm2.{p}", "output.LayerNorm.{p}", "layer_norm2.{p}"),
    ),
)


def _column(column: int) -> dict[str, str]:
    """Return the table from our names to those of one column."""
    return {begin[0] + row[0]: begin[column] + row[column] for begin, *rows in _TABLE for row in rows}


OPEN_CLIP = Names(
    "open_clip's names",
    _column(1),
    unit_axes={"visual.trunk.cls_token": 2, "visual.trunk.pos_embed": 1},
    transposed=frozenset(),
    unused=frozenset({"text.transformer.embeddings.position_ids"}),
)
PORT = Names(
    "the Hugging Face port's names",
    _column(2),
    unit_axes={},
    transposed=frozenset(),
    unused=frozenset({"text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"}),
)


class BiomedClip(ClipEncoder):
    """BiomedCLIP as a :class:`models.contracts.LayeredEncoder`; its embeddings have 512 dimensions."""

    @classmethod
    def from_state(
        cls,
        state: State,
        tokenizer: PromptTokenizer,
        layer: int = 9,
        framing: Framing = "fit",
        vision: VisionArchitecture = VisionArchitecture(),  # noqa: B008 (frozen)
        text: TextArchitecture = TextArchitecture(),  # noqa: B008 (frozen)
    ) -> Self:
        """Build the encoder from weights under either program's names. Raises ModelError (BUNDLE-INVALID)."""
        with torch.device("meta"):
            towers = VisionTransformer(vision), BertTower(text)
        scale = load(state, (OPEN_CLIP, PORT), {"vision": towers[0], "text": towers[1]})
        return cls(*towers, tokenizer, scale, layer, framing)

    @classmethod
    def from_files(cls, weights: Path, tokenizer: Path, layer: int = 9, framing: Framing = "fit") -> Self:
        """Read the weights' file and the folder of the tokenizer. Raises ModelError.

        MODEL-MISSING, or BUNDLE-INVALID where either is not BiomedCLIP's or they do not go together.
        """
        words = WordPieceTokenizer(tokenizer)
        expected = TextArchitecture().vocabulary
        if words.vocabulary != expected:
            message = f"{tokenizer}: {words.vocabulary} tokens, but the text tower knows {expected}"
            raise ModelError(Code.BUNDLE_INVALID, message)
        return cls.from_state(read_state(weights), words, layer, framing)
