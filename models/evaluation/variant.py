"""One row of a table: a variant of the method or a baseline, run on one data set, kept when it is done."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import Code, ConfigError, ModelError
from models.evaluation.answer import Answer, Stage, ask_until
from models.evaluation.baseline import AskBaseline
from models.evaluation.dataset import Dataset, Item
from models.evaluation.metrics import Mask
from models.evaluation.report import Heading, build, write
from models.evaluation.run import Asked, Asking, Prompts, Scored, evaluate
from models.masks.components import EIGHT
from models.prompts import prompt_set, prompt_sets
from models.prompts.sets import OF_SUBTYPES

if TYPE_CHECKING:
    from models.bundles.bundle import Bundle
    from models.labelled import Labelled
    from models.method import Method

Overrides = Mapping[str, Any]


@dataclass(frozen=True)
class Variant:
    """What one row changes. Everything that is not stated is that of the run.

    Attributes
    ----------
    label
        The row's heading.
    settings
        Overrides of the settings.
    method, mode
        Preset in place of the run's.
    stage
        The stage whose mask is scored.
    encoder, segmenter
        Roles whose bundle brings the encoder or the segmenter; None: the run's own bundle.
    kind
        Kind of prompt of the run's prompt task.
    side
        Side of the target: both its prompts and the half of the truth on that side.
    baseline, shots
        What is asked in the method's place, and how many labelled images it is shown.
    missing
        Why nobody can run this row here.
    """

    label: str
    settings: Overrides = field(default_factory=dict)
    method: str | None = None
    mode: str | None = None
    stage: Stage = "sam"
    encoder: str | None = None
    segmenter: str | None = None
    kind: str | None = None
    side: str | None = None
    baseline: str | None = None
    shots: int = 0
    missing: str | None = None


@dataclass(frozen=True, eq=False)
class Bench:
    """What all rows of a table have in common.

    ``prompts`` by image; ``prompt_task`` for rows that ask with a kind of prompt, and for how many regions
    SaLIP looks; ``bundle_of`` returns the bundle of a role or raises ConfigError; ``support`` are labelled
    images that are not evaluated; finished rows are kept under ``work``. ``digest`` is that of the data set.
    """

    dataset: Dataset
    prompts: Mapping[str, Prompts]
    method: "Method"
    bundle_of: Callable[[str], "Bundle"]
    seed: int
    software_version: str
    work: Path
    digest: str
    prompt_task: str | None = None
    support: tuple["Labelled", ...] = ()


@dataclass(frozen=True)
class Result:
    """A finished row: its report, or the reason why there is none."""

    variant: Variant
    report: Mapping[str, Any] | None
    reason: str | None = None


def run_variant(variant: Variant, bench: Bench, progress: Callable[[int, int], None]) -> Result:
    """Return the row of a variant, from ``bench.work`` where it was finished before.

    What the bundle or the data cannot do becomes a reason, never a missing row. ``progress`` is told after
    each image how many of how many are done.

    Raises
    ------
    DatasetError
        The data set, not the variant, is at fault.
    """
    if variant.missing is not None:
        return Result(variant, None, variant.missing)
    try:
        method = _method(variant, bench)
        prompts = _prompts(variant, bench)
        asking, notes = _asking(variant, bench, method)
        dataset = _sided(bench.dataset, variant.side)
        heading = _heading(variant, bench, method, prompts, notes)
        path = bench.work / f"{_key(variant, bench, heading, dataset, prompts)}.json"
        if path.is_file():
            return Result(variant, json.loads(path.read_text(encoding="utf-8")))
        scored: list[Scored] = []
        for one, _ in evaluate(dataset, prompts, method, bench.seed, asking=asking):
            scored.append(one)
            progress(len(scored), len(dataset.items))
    except (ConfigError, ModelError) as error:
        return Result(variant, None, error.message)
    report = build(heading, scored)
    bench.work.mkdir(parents=True, exist_ok=True)
    write(path, report)
    return Result(variant, report)


def _method(variant: Variant, bench: Bench) -> "Method":
    from models.method import Method

    method = bench.method
    if variant.method is not None:
        method = method.using(variant.method, variant.mode or method.settings.mode)
    bundle = method.bundle
    if variant.encoder is not None:
        other = bench.bundle_of(variant.encoder)
        bundle = replace(bundle, encoder=other.encoder, digest=_joined(bundle.digest, other.digest))
    if variant.segmenter is not None:
        other = bench.bundle_of(variant.segmenter)
        bundle = replace(bundle, segmenter=other.segmenter, digest=_joined(bundle.digest, other.digest))
    settings = method.settings
    if bench.prompt_task is not None:
        settings = settings.overridden({"salip": {"k": prompt_sets(bench.prompt_task).regions}})
    return Method(bundle, settings.overridden(variant.settings))


def _joined(*digests: str) -> str:
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def _prompts(variant: Variant, bench: Bench) -> Mapping[str, Prompts]:
    if variant.kind is None and variant.side is None:
        return bench.prompts
    if bench.prompt_task is None:
        raise ConfigError(Code.USAGE, "asks with a set of prompts; name it with --prompt-task")
    task, kind = bench.prompt_task, variant.kind or "VDT"
    if variant.side is not None:
        return dict.fromkeys(
            (item.name for item in bench.dataset.items), prompt_set(task, kind, variant.side)
        )
    return prompts_of(bench.dataset, task, kind)


def prompts_of(dataset: Dataset, task: str, kind: str) -> dict[str, Prompts]:
    """Return one kind of prompt for every image, by name; P1, P3 and P5 follow the image's own subtype.

    An image without a subtype is asked the generic prompt of the same length (P0, P2, P4).

    Raises
    ------
    ConfigError
        USAGE: the task has no such kind or subtype, or no image has a subtype.
    """
    if kind not in OF_SUBTYPES or kind not in prompt_sets(task).kinds():
        return dict.fromkeys((item.name for item in dataset.items), prompt_set(task, kind))
    if all(item.subtype is None for item in dataset.items):
        raise ConfigError(
            Code.USAGE, f"{kind} follows each image's subtype, and none is known; write a subtypes.csv"
        )
    generic = prompt_set(task, f"P{int(kind[1]) - 1}")
    return {
        item.name: generic if item.subtype is None else prompt_set(task, kind, item.subtype)
        for item in dataset.items
    }


def _asking(variant: Variant, bench: Bench, method: "Method") -> tuple[Asking, tuple[str, ...]]:
    notes = []
    if variant.kind in OF_SUBTYPES:
        notes.append("The prompt follows each image's own subtype: an image-level label was used.")
    if variant.side is not None:
        notes.append(f"Scored on the components of the truth on the {variant.side} side only.")
    if variant.baseline is None:
        return _StageAsking(variant.stage), tuple(notes)
    from models.baselines.registry import Options, baseline
    from models.labelled import draw

    asked = baseline(variant.baseline, Options(salip=method.settings.salip))
    support = draw(bench.support, variant.shots, bench.seed) if variant.shots else ()
    if variant.shots and len(support) < variant.shots:
        raise ConfigError(
            Code.USAGE,
            f"needs {variant.shots} labelled images that are not evaluated; there are {len(support)}",
        )
    return AskBaseline(asked, support), (*notes, asked.statement(method.bundle.segmenter))


@dataclass(frozen=True)
class _StageAsking:
    stage: Stage

    def __call__(self, method: "Method", asked: Asked) -> Answer:
        return ask_until(method, asked.image, asked.text, asked.seed, self.stage)


def _heading(
    variant: Variant, bench: Bench, method: "Method", prompts: Mapping[str, Prompts], notes: tuple[str, ...]
) -> Heading:
    asked = set(prompts.values())
    wordings = asked.pop() if len(asked) == 1 else ()
    return Heading(
        bundle=method.bundle.name,
        bundle_version=method.bundle.version,
        bundle_digest=method.bundle.digest,
        method=method.settings.method,
        mode=method.settings.mode,
        prompt=" | ".join(wordings) if wordings else "by image",
        prompts=wordings,
        task=bench.prompt_task,
        ensemble="off",
        software_version=bench.software_version,
        seed=bench.seed,
        nsd_tolerance_px=2.0,
        settings=method.settings.record(),
        baseline=variant.baseline,
        notes=notes,
    )


def _key(
    variant: Variant, bench: Bench, heading: Heading, dataset: Dataset, prompts: Mapping[str, Prompts]
) -> str:
    """Return what a row's figures depend on, as one hash; the label is not among it."""
    digest = hashlib.sha256()
    facts = {
        "settings": heading.settings,
        "bundle": heading.bundle_digest,
        "software": heading.software_version,
        "seed": heading.seed,
        "tolerance": heading.nsd_tolerance_px,
        "stage": variant.stage,
        "side": variant.side,
        "baseline": variant.baseline,
        "shots": variant.shots,
        "prompts": {item.name: prompts[item.name] for item in dataset.items},
        "dataset": bench.digest,
    }
    digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
    if variant.shots:
        for one in bench.support:
            digest.update(one.image.tobytes() + one.mask.tobytes())
    return digest.hexdigest()


def dataset_digest(dataset: Dataset) -> str:
    """Return the SHA-256 of every name, patient, image file and true mask. Raises DatasetError."""
    digest = hashlib.sha256()
    for path in dict.fromkeys(item.image for item in dataset.items):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for item in dataset.items:
        truth = item.truth()
        digest.update(repr((item.name, item.patient, truth.shape)).encode() + np.packbits(truth).tobytes())
    return digest.hexdigest()


def _sided(dataset: Dataset, side: str | None) -> Dataset:
    if side is None:
        return dataset
    items: Iterable[Item] = (
        replace(item, load_mask=_Side(item, side), load_image=item.pixels) for item in dataset.items
    )
    return replace(dataset, items=tuple(items))


@dataclass(frozen=True)
class _Side:
    item: Item
    side: str

    def __call__(self) -> Mask:
        return half(self.item.truth(), self.side)


def half(mask: Mask, side: str) -> Mask:
    """Return the components of a mask (H, W) on the patient's ``right`` or ``left``.

    In a frontal image the patient's right is on the left: a component belongs where its centre lies.
    """
    from scipy.ndimage import center_of_mass, label

    labelled, count = label(mask, EIGHT)
    kept = np.zeros_like(mask)
    for index in range(1, count + 1):
        one = labelled == index
        right = center_of_mass(one)[1] < (mask.shape[1] - 1) / 2
        if right == (side == "right"):
            kept |= one
    return kept
