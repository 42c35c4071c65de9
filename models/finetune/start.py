"""Which encoder is fine-tuned how, and how a bundle with the result is made."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

from models.bundles.bundle import describe
from models.bundles.seal import seal
from models.contracts import DualEncoder
from models.encoders import biomedclip, openai_clip
from models.encoders.lite import LiteEncoder
from models.errors import Code, ConfigError
from models.finetune.clip import ClipTowers
from models.finetune.lite import LiteProjections
from models.finetune.recipe import PAPER, PROJECTION, WHOLE_MODEL, LossName, Recipe
from models.finetune.trainable import Trainable

ENSEMBLES = "ensembles"
"""The block of a bundle's description that names its ensembles."""


def trainable(encoder: DualEncoder, work: Path, freeze: bool = False, fresh: int | None = None) -> Trainable:
    """Return the encoder as something to fine-tune.

    Parameters
    ----------
    encoder
        Of a bundle.
    work
        Where features of frozen towers are kept.
    freeze
        Only the projections learn. The lite bundle's towers are always frozen.
    fresh
        Seed of new projections; only the lite bundle's can be drawn anew.

    Raises
    ------
    ConfigError
        USAGE: this encoder cannot be fine-tuned, or not like that.
    """
    if isinstance(encoder, LiteEncoder):
        return LiteProjections(encoder, work, fresh)
    if fresh is not None:
        raise ConfigError(Code.USAGE, "new projections can be drawn for the lite bundle alone")
    if isinstance(encoder, biomedclip.BiomedClip):
        return ClipTowers(encoder, biomedclip.OPEN_CLIP, freeze)
    if isinstance(encoder, openai_clip.OpenAiClip):
        return ClipTowers(encoder, openai_clip.NAMES, freeze)
    raise ConfigError(Code.USAGE, f"{type(encoder).__name__} cannot be fine-tuned; see docs/losses.md")


def preset(mode: Literal["recommended", "paper"], loss: LossName, projections_only: bool) -> Recipe:
    """Return the recipe of a mode, before any option changes it."""
    recommended = PROJECTION if projections_only else WHOLE_MODEL
    return replace(PAPER if mode == "paper" else recommended, loss=loss)


def _without(block: str, text: str) -> str:
    """Return a YAML text without one of its top-level blocks; comments elsewhere stay."""
    kept, inside = [], False
    for line in text.splitlines(keepends=True):
        inside = line.startswith(f"{block}:") or (inside and line[:1] in {" ", "\n"})
        if not inside:
            kept.append(line)
    return "".join(kept)


def derive_bundle(source: Path, weights: Path, recipe: Path, folder: Path) -> Path:
    """Make a bundle like the one in ``source`` with fine-tuned weights, and return its folder.

    Files that other packages carry are not copied, and ensembles are left out: they learnt what the encoder
    before answered. Raises ModelError (BUNDLE-INVALID).
    """
    description = describe(source)
    role = "alignment-head" if "alignment-head" in description["files"] else "encoder"
    entry = description["files"][role]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for other in description["files"].values():
        own = source / other["path"]
        if other is not entry and own.is_file():
            (folder / other["path"]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(own, folder / other["path"])
    name = f"finetuned-{role}.safetensors"
    shutil.copyfile(weights, folder / name)
    shutil.copyfile(recipe, folder / recipe.name)
    text = _without(ENSEMBLES, (source / "bundle.yaml").read_text(encoding="utf-8"))
    changes = {f"name: {description['name']}": f"name: {description['name']}-finetuned"}
    changes[f"path: {entry['path']}"] = f"path: {name}"
    if "source" in entry:
        changes[f"source: {entry['source']}"] = (
            f"source: {entry['source']}; fine-tuned by `textseg finetune`, see {recipe.name}"
        )
    for old, new in changes.items():
        text = text.replace(old, new, 1)
    (folder / "bundle.yaml").write_text(text, encoding="utf-8")
    seal(folder, role)
    return folder
