"""Opening a bundle: find its files, refuse those with a wrong SHA-256, build the models.

The two pretrained models of ``lite`` travel in registry packages. Those are carriers: their files are found
through the package metadata and read by hash; their code is never imported. A folder of files brought in by
hand serves as well and is looked at first.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from models.bundles.files import sha256_of
from models.bundles.record import ModelRecord
from models.contracts import DualEncoder, PromptableSegmenter
from models.ensemble.record import EnsembleRecord, read_record
from models.errors import Code, ModelError


@dataclass(frozen=True)
class Bundle:
    """An opened bundle.

    ``digest`` is the SHA-256 of its description, which names every file by hash; ``tuned`` are the numbers of
    the method that belong to these models, see :func:`models.presets.preset`; ``ensembles`` are asked in the
    place of the method's own members, each for its own prompts alone; ``device`` is where all compute.
    """

    name: str
    version: str
    digest: str
    encoder: DualEncoder
    segmenter: PromptableSegmenter
    models: tuple[ModelRecord, ...]
    tuned: Mapping[str, Any] = field(default_factory=dict)
    ensembles: tuple[EnsembleRecord, ...] = ()
    device: str = "cpu"


def embedded() -> tuple[str, ...]:
    """Return the names of the bundles that come with textseg."""
    root = files("models.bundles")
    return tuple(sorted(entry.name for entry in root.iterdir() if entry.joinpath("bundle.yaml").is_file()))


def installed(models_dir: Path | None) -> tuple[str, ...]:
    """Return the names of the bundles that were installed into a models directory."""
    if models_dir is None or not models_dir.is_dir():
        return ()
    found = (entry.parent.name for entry in models_dir.glob("*/bundle.yaml"))
    return tuple(sorted(name for name in found if not name.startswith(".")))


def folder_of(reference: str, models_dir: Path | None = None) -> Path:
    """Return the folder of an embedded or installed bundle by name, or of any bundle by path.

    ModelError (MODEL-MISSING).
    """
    candidates = [Path(str(files("models.bundles").joinpath(reference)))]
    candidates += [] if models_dir is None else [models_dir / reference]
    for candidate in (*candidates, Path(reference)):
        if (candidate / "bundle.yaml").is_file():
            return candidate
    known = ", ".join((*embedded(), *installed(models_dir)))
    raise ModelError(
        Code.MODEL_MISSING,
        f"no bundle {reference!r}: neither embedded or installed ({known}) nor a folder with bundle.yaml",
    )


def describe(folder: Path) -> dict[str, Any]:
    """Return the content of a bundle's description. ModelError (BUNDLE-INVALID)."""
    try:
        description = yaml.safe_load((folder / "bundle.yaml").read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ModelError(Code.BUNDLE_INVALID, f"{folder / 'bundle.yaml'}: not YAML ({error})") from error
    if not isinstance(description, dict) or "files" not in description:
        raise ModelError(Code.BUNDLE_INVALID, f"{folder / 'bundle.yaml'}: no `files` in it")
    return description


def locate(entry: dict[str, Any], folder: Path, models_dir: Path | None) -> Path:
    """Return the verified path of one file of a bundle.

    Looked for in ``models_dir`` by file name, in the bundle's folder, and in the carrier package.
    Raises ModelError (MODEL-MISSING, MODEL-HASH-MISMATCH).
    """
    name = Path(entry["path"]).name
    places = [models_dir / name] if models_dir is not None else []
    places.append(folder / entry["path"])
    if "package" in entry:
        with suppress(PackageNotFoundError):
            places.append(Path(str(distribution(entry["package"]).locate_file(entry["path"]))))
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        hint = f"install the package {entry['package']} or " if "package" in entry else ""
        raise ModelError(
            Code.MODEL_MISSING,
            f"{name} is not here; {hint}put the file into the folder given as models directory",
        )
    actual = sha256_of(found)
    if actual != entry["sha256"]:
        message = f"{found}: SHA-256 is {actual}, expected {entry['sha256']}; the file is refused, replace it"
        raise ModelError(Code.MODEL_HASH_MISMATCH, message)
    return found


def verify(reference: str = "lite", models_dir: Path | None = None) -> dict[str, Path]:
    """Return the verified path of every file of a bundle, by role. Raises ModelError."""
    folder = folder_of(reference, models_dir)
    return {role: locate(entry, folder, models_dir) for role, entry in describe(folder)["files"].items()}


def load_bundle(reference: str = "lite", models_dir: Path | None = None, device: str = "cpu") -> Bundle:
    """Open a bundle on a device and verify every file by SHA-256. Raises ModelError."""
    from models.bundles.build import build  # all models: a list of bundles needs none
    from models.device import require

    require(device)
    folder = folder_of(reference, models_dir)
    description = describe(folder)
    paths = verify(reference, models_dir)
    encoder, segmenter = build(description, paths, device)
    return Bundle(
        name=description["name"],
        version=str(description["version"]),
        digest=hashlib.sha256((folder / "bundle.yaml").read_bytes()).hexdigest(),
        encoder=encoder,
        segmenter=segmenter,
        models=tuple(_record(entry) for entry in description["files"].values() if "name" in entry),
        tuned=description.get("settings", {}),
        ensembles=tuple(_ensemble(folder, entry) for entry in description.get("ensembles", ())),
        device=device,
    )


def _ensemble(folder: Path, entry: Mapping[str, Any]) -> EnsembleRecord:
    record = read_record(folder / entry["path"])
    if record.digest != entry["sha256"]:
        raise ModelError(
            Code.MODEL_HASH_MISMATCH,
            f"{folder / entry['path']}: SHA-256 of its description is {record.digest}, expected "
            f"{entry['sha256']}; the ensemble is refused, install it again",
        )
    return record


def _record(entry: dict[str, Any]) -> ModelRecord:
    return ModelRecord(
        entry["name"], str(entry["version"]), entry["sha256"], entry["licence"], entry["source"]
    )
