"""The heads of the cross-fit: one per fold, trained on the other four and on what belongs to no fold."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from safetensors.torch import load_file, save_file

from models.align.features import Features
from models.align.folds import FOLDS, SHIPPED_WITHOUT
from models.align.train import PHASES, Recipe, train
from models.bundles.bundle import Bundle, load_bundle, verify
from models.encoders.lite import AlignmentHead, LiteEncoder
from models.method import Method


@dataclass(frozen=True)
class Heads:
    """Where heads are kept, and whether those that are not there yet are trained in bfloat16."""

    folder: Path
    bf16: bool = False


def head_path(folder: Path, phases: Sequence[Recipe], without: int) -> Path:
    """Return where the head that went through some phases without a fold is kept."""
    digest = hashlib.sha256(repr([sorted(asdict(recipe).items()) for recipe in phases]).encode()).hexdigest()[
        :12
    ]
    return folder / f"head_{digest}_without_{without}.safetensors"


def train_head(
    features: Callable[[], Sequence[Features]],
    without: int,
    heads: Heads,
    progress: Callable[[int, float], None],
) -> Path:
    """Train on everything but fold ``without``, phase by phase, and return the file of the finished head.

    What an earlier run finished is read, not trained again, and ``features`` of the corpus are asked for only
    where the head is not there yet. ``progress`` is told epochs over all phases.
    """
    path = head_path(heads.folder, PHASES, without)
    if path.exists():
        return path
    encoder = _encoder(load_bundle("lite"))
    used = [item for item in features() if item.fold != without]
    head, done = None, 0
    for number, recipe in enumerate(PHASES, start=1):
        path = head_path(heads.folder, PHASES[:number], without)
        if not path.exists():
            head = train(used, encoder.text_tower, recipe, _after(done, progress), head, heads.bf16)
            _write(head, path)
        head = read_head(path)
        done += recipe.epochs
    return path


def head_without(
    features: Callable[[], Sequence[Features]],
    fold: int,
    heads: Heads,
    progress: Callable[[int, float], None],
) -> Path:
    """Return the head that never saw a fold: for fold 5 the shipped one, which `textseg align` trained.

    Whoever changes a recipe trains the shipped head first.
    """
    if fold == SHIPPED_WITHOUT:
        return verify("lite")["alignment-head"]
    return train_head(features, fold, heads, progress)


def _encoder(bundle: Bundle) -> LiteEncoder:
    if not isinstance(bundle.encoder, LiteEncoder):
        raise TypeError("the lite bundle brings another encoder")
    return bundle.encoder


def _after(done: int, progress: Callable[[int, float], None]) -> Callable[[int, float], None]:
    return lambda epoch, loss: progress(done + epoch, loss)


def _write(head: AlignmentHead, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".partial")
    # In half precision: small enough for a repository, and what is judged is what is kept.
    save_file({name: value.half().contiguous() for name, value in head.state_dict().items()}, unfinished)
    unfinished.rename(path)


def read_head(path: Path) -> AlignmentHead:
    """Read a head from its safetensors file."""
    head = AlignmentHead()
    head.load_state_dict(load_file(path))
    return head


def method_with(head: Path, device: str = "cpu") -> Method:
    """Return the method of the lite bundle with another head, on a device as torch names it."""
    bundle = load_bundle("lite", device=device)
    encoder = _encoder(bundle)
    other = LiteEncoder(encoder.tower, encoder.text_tower, read_head(head).to(device))
    return Method(replace(bundle, encoder=other))


def train_heads(
    features: Callable[[], Sequence[Features]], heads: Heads, progress: Callable[[int, int, float], None]
) -> list[Path]:
    """Return one head per fold, trained where it is not there yet; ``progress`` is told fold, epoch, loss."""
    return [head_without(features, fold, heads, partial(progress, fold)) for fold in range(1, FOLDS + 1)]
