"""The published models that can be installed: their files, hashes, licences and what they are meant for.

A hash is here only where the publisher gives it, with the file, in its name or in its address. Where there is
none, what was installed is recorded and marked "unverified".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

RESEARCH = "research; not for diagnosis"
ALIGNED = "research on biomedical images and texts; not for diagnosis"
APACHE = "Apache-2.0"

Origin = Literal["verified", "unverified"]


@dataclass(frozen=True)
class PublishedModel:
    """One published file of weights, and what belongs to it.

    Attributes
    ----------
    part, kind
        What it is to a bundle, and its kind in the bundle's description.
    file, sha256, size
        Name of the file as published, its accepted hashes (none: the publisher gives none), and its bytes.
    vocabulary
        Names of the file with the words of the text tower, one of which must be there too.
    hub
        Repository on the hub that has these files under these names.
    """

    part: Literal["encoder", "segmenter"]
    kind: str
    name: str
    file: str
    licence: str
    source: str
    intended_use: str = RESEARCH
    sha256: tuple[str, ...] = ()
    size: int | None = None
    vocabulary: tuple[str, ...] = ()
    hub: str | None = None


VOCABULARY = ("vocab.txt", "tokenizer.json")

BIOMEDCLIP = PublishedModel(
    part="encoder",
    kind="biomedclip",
    name="BiomedCLIP",
    file="open_clip_pytorch_model.bin",
    licence="MIT",
    source="microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
    intended_use=ALIGNED,
    sha256=(
        "52cc993c5c5ff962bd0c60931874bc001e7e9b41666a385530f4a036294576be",
        # The first upload: older weights, with which results differ.
        "4bfe7750c7055523e01edadc68105d909e521cea35a0fb1d19c79e8f8e1b794c",
    ),
    vocabulary=VOCABULARY,
    hub="microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
)
BIOMEDCLIP_PORT = PublishedModel(
    part="encoder",
    kind="biomedclip",
    name="BiomedCLIP, Hugging Face port",
    file="pytorch_model.bin",
    licence="MIT",
    source="chuhac/BiomedCLIP-vit-bert-hf",
    intended_use=ALIGNED,
    sha256=("5bdc400de59a85620ddc7584d06913dc901c47f22647899c6addec71b9a5c9a2",),
    vocabulary=VOCABULARY,
    hub="chuhac/BiomedCLIP-vit-bert-hf",
)
BIOMEDCLIP_PORT_SAFETENSORS = PublishedModel(
    part="encoder",
    kind="biomedclip",
    name="BiomedCLIP, Hugging Face port",
    file="model.safetensors",
    licence="MIT",
    source="chuhac/BiomedCLIP-vit-bert-hf",
    intended_use=ALIGNED,
    vocabulary=VOCABULARY,
)
BIOMEDCLIP_FINETUNED = PublishedModel(
    part="encoder",
    kind="biomedclip",
    name="BiomedCLIP fine-tuned with DHN-NCE",
    file="pytorch_model.bin",
    licence="not stated by its publishers",
    source="HealthX-Lab/MedCLIP-SAMv2",
    intended_use=ALIGNED,
    vocabulary=VOCABULARY,
)
CLIP_VIT_L_14 = PublishedModel(
    part="encoder",
    kind="openai-clip",
    name="OpenAI CLIP ViT-L/14",
    file="ViT-L-14.pt",
    licence="MIT",
    source="openai/CLIP",
    sha256=("b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",),
)
CLIP_VIT_B_16 = PublishedModel(
    part="encoder",
    kind="openai-clip",
    name="OpenAI CLIP ViT-B/16",
    file="ViT-B-16.pt",
    licence="MIT",
    source="openai/CLIP",
    sha256=("5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",),
)
SAM_VIT_H = PublishedModel(
    part="segmenter",
    kind="sam-vit-h",
    name="SAM ViT-H",
    file="sam_vit_h_4b8939.pth",
    licence=APACHE,
    source="facebookresearch/segment-anything",
    sha256=("a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",),
    size=2_564_550_879,
)
SAM_VIT_L = PublishedModel(
    part="segmenter",
    kind="sam-vit-l",
    name="SAM ViT-L",
    file="sam_vit_l_0b3195.pth",
    licence=APACHE,
    source="facebookresearch/segment-anything",
    sha256=("3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",),
    size=1_249_524_607,
)
SAM_VIT_B = PublishedModel(
    part="segmenter",
    kind="sam-vit-b",
    name="SAM ViT-B",
    file="sam_vit_b_01ec64.pth",
    licence=APACHE,
    source="facebookresearch/segment-anything",
    sha256=("ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",),
    size=375_042_383,
)
MEDSAM = PublishedModel(
    part="segmenter",
    kind="medsam",
    name="MedSAM",
    file="medsam_vit_b.pth",
    licence=APACHE,
    source="bowang-lab/MedSAM",
)
SAM_MED2D = PublishedModel(
    part="segmenter",
    kind="sam-med2d",
    name="SAM-Med2D",
    file="sam-med2d_b.pth",
    licence=APACHE,
    source="OpenGVLab/SAM-Med2D",
)
LITEMEDSAM = PublishedModel(
    part="segmenter",
    kind="litemedsam",
    name="LiteMedSAM",
    file="lite_medsam.pth",
    licence=APACHE,
    source="bowang-lab/MedSAM, branch LiteMedSAM",
    sha256=("79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76",),
    size=39_370_479,
)

Known = Mapping[str, tuple[PublishedModel, ...]]
"""What may be asked for by a name: the first of these models whose file is there."""

KNOWN: Known = {
    "biomedclip": (BIOMEDCLIP, BIOMEDCLIP_PORT, BIOMEDCLIP_PORT_SAFETENSORS),
    "biomedclip-finetuned": (BIOMEDCLIP_FINETUNED,),
    "clip": (CLIP_VIT_L_14, CLIP_VIT_B_16),
    "sam": (SAM_VIT_H, SAM_VIT_L, SAM_VIT_B),
    "sam-vit-h": (SAM_VIT_H,),
    "sam-vit-l": (SAM_VIT_L,),
    "sam-vit-b": (SAM_VIT_B,),
    "medsam": (MEDSAM,),
    "sam-med2d": (SAM_MED2D,),
    "litemedsam": (LITEMEDSAM,),
}


def combinations(known: Known = KNOWN) -> dict[str, tuple[str, str]]:
    """Return every pair of an encoder and a segmenter by its name, ``encoder-segmenter``."""
    parts = {name: models[0].part for name, models in known.items()}
    return {
        f"{encoder}-{segmenter}": (encoder, segmenter)
        for encoder, part in parts.items()
        if part == "encoder"
        for segmenter, other in parts.items()
        if other == "segmenter"
    }
