"""All methods and baselines on all data sets: the shape of MedCLIP-SAMv2's Table 1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from models.errors import Code, DatasetError
from models.evaluation.variant import Variant

UNTRAINED = "needs a network trained on this data set; none is installed"

ROWS: tuple[Variant, ...] = (
    Variant("Zero-shot: SaLIP", method="salip"),
    Variant("Zero-shot: SAMAug", baseline="samaug"),
    Variant("Zero-shot: MedCLIP-SAM", method="medclip-sam"),
    Variant("Zero-shot: MedCLIP-SAMv2", method="medclip-sam-v2"),
    Variant("Zero-shot: SAM, un-prompted", baseline="sam-unprompted"),
    Variant("Zero-shot: SAM + CLIP", method="salip", baseline="sam-clip"),
    Variant("Weakly supervised: nnU-Net", missing=UNTRAINED),
    Variant("Weakly supervised: MedCLIP-SAM", missing=UNTRAINED),
    Variant("Weakly supervised: MedCLIP-SAMv2", missing=UNTRAINED),
    Variant("One-shot: UniverSeg", baseline="universeg", shots=1),
    Variant("One-shot: ProtoSAM", baseline="protosam", shots=1),
    Variant("Few-shot (K = 4): UniverSeg", baseline="universeg", shots=4),
    Variant("Few-shot (K = 4): Self-Prompt-SAM", baseline="self-prompt-sam", shots=4),
    Variant("Few-shot (K = 16): UniverSeg", baseline="universeg", shots=16),
    Variant("Few-shot (K = 16): Self-Prompt-SAM", baseline="self-prompt-sam", shots=16),
    Variant("Fully supervised: nnU-Net", missing=UNTRAINED),
    Variant("Fully supervised: nnU-Net ensemble", missing=UNTRAINED),
    Variant("Bound: SAM with truth boxes (uses labels)", baseline="sam-truth-boxes"),
)


@dataclass(frozen=True)
class Entry:
    """One data set of a suite.

    ``prompts`` are wordings for every image; without them it is ``kind`` of ``prompt_task``, without that
    prompts.csv. ``support`` is a folder of labelled images that are not evaluated, in the same layout; None:
    no few-shot rows.
    """

    name: str
    folder: Path
    layout: str = "textseg"
    prompts: tuple[str, ...] = ()
    prompt_task: str | None = None
    kind: str = "P0"
    support: Path | None = None


KEYS = tuple(one.name for one in fields(Entry))


def read_suite(where: Path) -> tuple[Entry, ...]:
    """Return the data sets of a suite.

    Parameters
    ----------
    where
        A YAML file with a list ``datasets`` of the fields of :class:`Entry`, the folders relative to the
        file; or a folder whose sub-folders are data sets, each with a prompts.csv and perhaps a data set
        ``support`` in it.

    Raises
    ------
    DatasetError
        DATASET-INVALID: the file has another shape, a name stands twice, or there is no data set.
    """
    entries = _of_file(where) if where.is_file() else _of_folder(where)
    names = [entry.name for entry in entries]
    if not names or len(set(names)) < len(names):
        raise DatasetError(
            Code.DATASET_INVALID, f"{where}: a suite has at least one data set, and every name once"
        )
    return entries


def _of_folder(where: Path) -> tuple[Entry, ...]:
    folders = (path for path in sorted(where.iterdir()) if (path / "images").is_dir())
    return tuple(
        Entry(path.name, path, support=path / "support" if (path / "support").is_dir() else None)
        for path in folders
    )


def _of_file(where: Path) -> tuple[Entry, ...]:
    try:
        content = yaml.safe_load(where.read_text(encoding="utf-8"))
        return tuple(_entry(one, where.parent) for one in content["datasets"])
    except (yaml.YAMLError, OSError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise DatasetError(
            Code.DATASET_INVALID,
            f"{where}: not a suite, which is YAML with a list `datasets`, each with {', '.join(KEYS)} "
            f"({type(error).__name__}: {error})",
        ) from error


def _entry(one: Mapping[str, Any], beside: Path) -> Entry:
    unknown = set(one) - set(KEYS)
    if unknown:
        raise KeyError(f"unknown: {', '.join(sorted(map(str, unknown)))}")
    prompts = one.get("prompts", ())
    if not isinstance(prompts, Sequence) or isinstance(prompts, str):
        raise TypeError("prompts is a list of wordings")
    return Entry(
        name=str(one["name"]),
        folder=beside / one["folder"],
        layout=one.get("layout", "textseg"),
        prompts=tuple(prompts),
        prompt_task=one.get("prompt_task"),
        kind=one.get("kind", "P0"),
        support=beside / one["support"] if "support" in one else None,
    )
