"""Installing published models: files brought in by hand become a bundle, once, without a network.

Each file is found by its published name, checked by hash where its publisher gives one, read without running
anything in it, and written as safetensors. The bundle appears under its name only when it is whole and has
been opened once.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from safetensors.torch import save_file
from torch import Tensor

from models.bundles.bundle import load_bundle
from models.bundles.files import sha256_of
from models.bundles.known import KNOWN, Known, Origin, PublishedModel, combinations
from models.bundles.torchscript import is_torchscript, read_torchscript
from models.errors import Code, ConfigError, ModelError
from models.weights import read_weights

VERSION = "1"


class Inert:
    """Stands for the optimizer in a training checkpoint: takes its state and does nothing with it."""

    def __setstate__(self, state: object) -> None:
        """Forget the state."""


def plain_table(_: object) -> dict[object, object]:
    """Stand for a dictionary with defaults, in which the optimizer keeps its numbers."""
    return {}


STAND_INS: dict[str, Callable[..., object]] = {
    "torch.optim.adam.Adam": Inert,
    "torch.optim.adamw.AdamW": Inert,
    "collections.defaultdict": plain_table,
    "builtins.dict": dict,
}
"""What SAM-Med2D's checkpoint names beside its weights: the optimizer as an object, and its containers."""


@dataclass(frozen=True)
class Source:
    """A published model as it was found: its files, and whether the publisher's hash vouches for it."""

    model: PublishedModel
    weights: Path
    sha256: str
    origin: Origin
    vocabulary: Path | None


def install(combination: str, source: Path, into: Path, known: Known = KNOWN) -> Path:
    """Install a published pair of models from a folder, and return the bundle's folder ``into``/NAME.

    Parameters
    ----------
    combination
        ``encoder-segmenter``, such as ``biomedclip-sam``: the name of the bundle.
    source
        Folder with the published files, in it or one level below.
    into
        Models directory, made where it does not exist.
    known
        The table of published models.

    Raises
    ------
    ConfigError
        USAGE: there is no such combination, or it is installed already.
    ModelError
        MODEL-MISSING, MODEL-HASH-MISMATCH, or BUNDLE-INVALID where a file is not what its name says. Nothing
        is left behind then.
    """
    target = into / combination
    pair = _pair(combination, known)
    if target.exists():
        raise ConfigError(Code.USAGE, f"{target} exists already; remove that folder to install it anew")
    found = [_find(known[name], source) for name in pair]
    partial = into / f".{combination}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _write(combination, found, partial)
        load_bundle(str(partial))
        for path in (*partial.rglob("*"), partial):
            _sync(path)
        partial.rename(target)
        _sync(into)
    except OSError as error:
        raise ConfigError(Code.USAGE, f"{into}: the bundle cannot be written there ({error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def fetch(combination: str, into: Path, known: Known = KNOWN) -> None:
    """Fetch from the hub what a combination needs and the folder ``into`` lacks, where the hub has it.

    Raises
    ------
    ConfigError
        USAGE: there is no such combination.
    ModelError
        MODEL-MISSING: the hub's library is not installed, or the hub cannot be reached.
    """
    pair = _pair(combination, known)
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError
    except ImportError as error:
        message = "huggingface_hub is not installed: bring the files in by hand and use --from alone"
        raise ModelError(Code.MODEL_MISSING, message) from error
    for name in pair:
        model = known[name][0]
        if model.hub is None:
            continue
        for file in (model.file, *model.vocabulary[:1]):
            if any(_places(file, into)):
                continue
            try:
                hf_hub_download(model.hub, file, local_dir=into)
            except (OSError, EntryNotFoundError) as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                message = f"{file} of {model.hub}: not fetched ({reason}); bring it in by hand instead"
                raise ModelError(Code.MODEL_MISSING, message) from error


def _pair(combination: str, known: Known) -> tuple[str, str]:
    pairs = combinations(known)
    if combination not in pairs:
        message = f"nothing published is called {combination!r}; there is: {', '.join(pairs)}"
        raise ConfigError(Code.USAGE, message)
    return pairs[combination]


def _find(models: tuple[PublishedModel, ...], folder: Path) -> Source:
    """Return the first of several models whose file is there, verified."""
    for model in models:
        weights = _only(model.file, folder)
        if weights is not None:
            sha256 = _verified(model, weights)
            origin: Origin = "verified" if model.sha256 else "unverified"
            return Source(model, weights, sha256, origin, _vocabulary(model, weights.parent, folder))
    wanted = " or ".join(f"{model.file} ({model.name}, {model.source})" for model in models)
    raise ModelError(Code.MODEL_MISSING, f"{folder}: neither in it nor one level below is {wanted}")


def _places(name: str, folder: Path) -> Iterator[Path]:
    yield from (path for path in (folder / name, *sorted(folder.glob(f"*/{name}"))) if path.is_file())


def _only(name: str, folder: Path) -> Path | None:
    places = list(_places(name, folder))
    if len({sha256_of(place) for place in places}) > 1:
        listed = ", ".join(map(str, places))
        message = f"different files are called {name}: {listed}; leave the one that is meant"
        raise ModelError(Code.BUNDLE_INVALID, message)
    return places[0] if places else None


def _vocabulary(model: PublishedModel, beside: Path, folder: Path) -> Path | None:
    """Return the file with the text tower's words: the one beside the weights, else the only one there is."""
    if not model.vocabulary:
        return None
    for place in (
        *(beside / name for name in model.vocabulary),
        *(_only(n, folder) for n in model.vocabulary),
    ):
        if place is not None and place.is_file():
            return place
    names = " nor ".join(model.vocabulary)
    raise ModelError(
        Code.MODEL_MISSING, f"{folder}: {model.name} needs its tokenizer; neither {names} is there"
    )


def _verified(model: PublishedModel, path: Path) -> str:
    size = path.stat().st_size
    if model.size is not None and size != model.size:
        message = f"{path}: {size} bytes instead of {model.size}; it was not copied whole, or is another file"
        raise ModelError(Code.MODEL_HASH_MISMATCH, message)
    actual = sha256_of(path)
    if model.sha256 and actual not in model.sha256:
        message = (
            f"{path}: SHA-256 is {actual}, but {model.name} of {model.source} has "
            f"{' or '.join(model.sha256)}; the file is refused, fetch it again from its publisher"
        )
        raise ModelError(Code.MODEL_HASH_MISMATCH, message)
    return actual


def _write(name: str, found: list[Source], folder: Path) -> None:
    """Convert the files of a bundle and describe them; the same files give the same description."""
    files: dict[str, dict[str, str]] = {}
    for source in found:
        model = source.model
        weights = folder / f"{model.part}.safetensors"
        save_file(_owned(_read(source.weights)), weights)
        files[model.part] = _entry(model.name, source.weights.name, weights.name, weights, source) | {
            "published-sha256": source.sha256,
            "origin": source.origin,
        }
        if source.vocabulary is not None:
            path = f"tokenizer/{source.vocabulary.name}"
            (folder / path).parent.mkdir()
            shutil.copyfile(source.vocabulary, folder / path)
            title = f"{model.name}, tokenizer"
            files["tokenizer"] = _entry(title, source.vocabulary.name, path, folder / path, source) | {
                "origin": "unverified"
            }
    models = {source.model.part: source.model for source in found}
    description = {
        "name": name,
        "version": VERSION,
        "intended-use": "; ".join(dict.fromkeys(model.intended_use for model in models.values())),
        "encoder": models["encoder"].kind,
        "segmenter": models["segmenter"].kind,
        "files": files,
    }
    text = yaml.safe_dump(description, sort_keys=False, allow_unicode=True, width=110)
    (folder / "bundle.yaml").write_text(text, encoding="utf-8")


def _entry(title: str, version: str, path: str, written: Path, source: Source) -> dict[str, str]:
    return {
        "name": title,
        "version": version,
        "path": path,
        "sha256": sha256_of(written),
        "licence": source.model.licence,
        "source": source.model.source,
    }


def _read(path: Path) -> dict[str, Tensor]:
    if is_torchscript(path):
        # The attention mask is no weight; CLIP's text tower makes its own.
        return {n: v for n, v in read_torchscript(path).items() if not n.endswith("attn_mask")}
    return read_weights(path, STAND_INS)


def _owned(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors that share no memory, as safetensors asks for."""
    seen: set[int] = set()
    owned = {}
    for name, values in state.items():
        own = values.contiguous()
        owned[name] = own.clone() if own.data_ptr() in seen else own
        seen.add(own.data_ptr())
    return owned


def _sync(path: Path) -> None:
    """Have the content of a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
