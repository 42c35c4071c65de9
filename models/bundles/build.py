"""From a bundle's files to its models: one builder per kind of encoder and of segmenter.

What a bundle consists of is in its description, ``encoder`` and ``segmenter``; which files they need is here.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file

from models.contracts import DualEncoder
from models.encoders.biomedclip import BiomedClip
from models.encoders.lite import AlignmentHead, LiteEncoder
from models.encoders.minilm import MiniLm
from models.encoders.openai_clip import ARCHITECTURES, OpenAiClip
from models.encoders.tinyvit import TinyVitTower
from models.errors import Code, ModelError
from models.segmenters.family import SamFamily
from models.segmenters.litemedsam import LiteMedSam
from models.segmenters.medsam import MedSam
from models.segmenters.sam import Sam
from models.segmenters.sam_med2d import SamMed2d
from models.segmenters.vit import VitSam
from models.weights import read_weights

Files = Mapping[str, Path]
Builder = TypeVar("Builder")


def build(description: Mapping[str, Any], files: Files, device: str) -> tuple[DualEncoder, SamFamily]:
    """Build the encoder and the segmenter of a bundle on a device.

    Parameters
    ----------
    description
        The bundle's description, with ``encoder`` and ``segmenter``.
    files
        Its verified files by role.
    device
        As torch names it.

    Raises
    ------
    ModelError
        BUNDLE-INVALID: an unknown kind, a role without a file, or weights that do not fit.
    """
    segmenter = _builder(SEGMENTERS, description, "segmenter")(_Roles(files)).to(device)
    return _builder(ENCODERS, description, "encoder")(_Roles(files), segmenter, device), segmenter


class _Roles(dict[str, Path]):
    """Files by role; a role that a builder asks for in vain is the bundle's fault."""

    def __missing__(self, role: str) -> Path:
        raise ModelError(
            Code.BUNDLE_INVALID, f"bundle.yaml names no file for {role!r}, which its models need"
        )


def _builder(builders: Mapping[str, Builder], description: Mapping[str, Any], part: str) -> Builder:
    kind = str(description.get(part))
    if kind not in builders:
        known = ", ".join(builders)
        raise ModelError(Code.BUNDLE_INVALID, f"bundle.yaml: {part} is {kind!r}; there is: {known}")
    return builders[kind]


def _litemedsam(files: Files) -> LiteMedSam:
    segmenter = LiteMedSam(TinyVitTower())
    segmenter.load_upstream(read_weights(files["segmenter"]))
    return segmenter


def _vit(kind: type[VitSam], size: str, files: Files) -> VitSam:
    return kind.with_weights(read_weights(files["segmenter"]), size)


def _lite(files: Files, segmenter: SamFamily, device: str) -> LiteEncoder:
    if not isinstance(segmenter, LiteMedSam):
        message = "bundle.yaml: the encoder lite reads LiteMedSAM's image tower; its segmenter is litemedsam"
        raise ModelError(Code.BUNDLE_INVALID, message)
    text_tower = MiniLm(files["text-weights"], files["text-configuration"], files["text-tokenizer"])
    head = AlignmentHead()
    head.load_state_dict(load_file(files["alignment-head"]))
    return LiteEncoder(segmenter.tower, text_tower.to(device), head.to(device))


def _biomedclip(files: Files, segmenter: SamFamily, device: str) -> BiomedClip:
    del segmenter
    return BiomedClip.from_files(files["encoder"], files["tokenizer"].parent).to(device)


def _openai_clip(files: Files, segmenter: SamFamily, device: str) -> OpenAiClip:
    del segmenter
    weights = files["encoder"]
    width, _, patch, _ = read_weights(weights).get("visual.conv1.weight", torch.empty(0, 0, 0, 0)).shape
    for model, architecture in ARCHITECTURES.items():
        if (architecture.vision.width, architecture.vision.patch) == (width, patch):
            return OpenAiClip.from_file(weights, model).to(device)
    known = ", ".join(ARCHITECTURES)
    raise ModelError(Code.BUNDLE_INVALID, f"{weights}: not OpenAI's CLIP with a vision transformer ({known})")


SEGMENTERS: dict[str, Callable[[Files], SamFamily]] = {
    "litemedsam": _litemedsam,
    "sam-vit-b": partial(_vit, Sam, "vit_b"),
    "sam-vit-l": partial(_vit, Sam, "vit_l"),
    "sam-vit-h": partial(_vit, Sam, "vit_h"),
    "medsam": partial(_vit, MedSam, "vit_b"),
    "sam-med2d": partial(_vit, SamMed2d, "vit_b"),
}
ENCODERS: dict[str, Callable[[Files, SamFamily, str], DualEncoder]] = {
    "lite": _lite,
    "biomedclip": _biomedclip,
    "openai-clip": _openai_clip,
}
