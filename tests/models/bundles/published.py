"""Files that look as the publishers' do: true names and architecture, random weights, as small as can be."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from models.bundles import build
from models.bundles.build import Files
from models.bundles.known import KNOWN, Known
from models.encoders.bert import WordPieceTokenizer
from models.encoders.biomedclip import OPEN_CLIP, BiomedClip
from models.segmenters.medsam import MedSam
from models.segmenters.sam import Sam
from models.segmenters.sam_med2d import SamMed2d
from models.segmenters.vit import VitSam
from models.weights import read_weights
from tests.models.encoders.random_clip import small_biomedclip
from tests.models.segmenters.small import SMALL, small

WITHOUT_HASHES: Known = {
    name: tuple(replace(model, sha256=(), size=None) for model in models) for name, models in KNOWN.items()
}
"""The table as it would be if nobody published a hash: random weights have none that is known."""

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "breast", "mass", "##es", "in", "ultrasound")


def write_biomedclip(folder: Path) -> None:
    torch.save(small_biomedclip().state(OPEN_CLIP), folder / "open_clip_pytorch_model.bin")
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")


def write_sam(folder: Path) -> None:
    torch.save(small(Sam, side=1024).state_dict(), folder / "sam_vit_b_01ec64.pth")


def use_small_models(monkeypatch) -> None:
    """Build the small architectures where a bundle names the true ones."""

    def encoder(files: Files, segmenter: object, device: str) -> BiomedClip:
        like = small_biomedclip()
        return BiomedClip.from_state(
            read_weights(files["encoder"]),
            WordPieceTokenizer(files["tokenizer"].parent),
            layer=1,
            vision=like.vision.architecture,
            text=like.text.architecture,
        )

    def segmenter(kind: type[VitSam]):
        return lambda files: kind.with_weights(read_weights(files["segmenter"]), SMALL)

    monkeypatch.setitem(build.ENCODERS, "biomedclip", encoder)
    for name, kind in {"sam-vit-b": Sam, "medsam": MedSam, "sam-med2d": SamMed2d}.items():
        monkeypatch.setitem(build.SEGMENTERS, name, segmenter(kind))


class Tree(nn.Module):
    """Modules inside modules, named as the weights are, with nothing to compute."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        children: dict[str, dict[str, Tensor]] = {}
        for name, values in state.items():
            head, dot, rest = name.partition(".")
            if dot:
                children.setdefault(head, {})[rest] = values
            else:
                self.register_parameter(head, nn.Parameter(values, requires_grad=False))
        for name, own in children.items():
            self.add_module(name, Tree(own))

    def forward(self) -> int:
        return 0
