"""The five-fold cross-fit: every image is scored by a head that never saw it, nor its patient.

Which heads these are says :mod:`models.align.heads`; the one without fold 5 ships in ``lite``.
"""

import hashlib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from models.align.chest_ct import SETS as CT_SETS
from models.align.chest_ct import bound_of, held_out_ct, set_of
from models.align.concepts import nothing_held_out, vocabulary
from models.align.corpus import brain_without_tumour
from models.align.folds import FOLDS, SETS, committed, patient_of
from models.align.heads import method_with
from models.align.results import kept, key, scored_from_json, scored_to_json, words_from_json
from models.baselines.truth_boxes import TruthBoxes
from models.contracts import Image
from models.evaluation.baseline import AskBaseline
from models.evaluation.dataset import Dataset, open_dataset, read_image, read_mask
from models.evaluation.run import Prompts, Scored, evaluate
from models.evaluation.words import Case, Reply, Words, merged, reply_to, summarise
from models.method import Method

CONCEPT = {"breast_ultrasound": "breast-mass", "brain_mr": "brain-tumour", "chest_xray": "lungs"}
OTHER_ORGAN = {
    "breast_ultrasound": ("kidney with a stone", "the liver"),
    "brain_mr": ("kidney with a stone", "a breast ultrasound showing an irregular mass"),
    "chest_xray": ("kidney with a stone", "a brain MRI showing a tumor"),
}
IN_THE_RIGHT_ORGAN = {
    "breast_ultrasound": ("normal breast, nothing to see",),
    "brain_mr": ("healthy brain without a tumour",),
    "chest_xray": ("the heart", "the liver"),
}
WORDS_PER_FOLD = 10
"""Images of a set and fold that are asked in many wordings; each wording is a whole path."""


def held_out(data: Path, origin: str, fold: int) -> Dataset:
    """Return one fold of one set, with the patients that its names tell."""
    return _of_folds(data, origin, {fold})


def other_folds(data: Path, origin: str, fold: int) -> Dataset:
    """Return all folds of one set but one, with the patients that its names tell."""
    return _of_folds(data, origin, set(range(1, FOLDS + 1)) - {fold})


def _of_folds(data: Path, origin: str, wanted: Container[int]) -> Dataset:
    dataset = open_dataset(data / origin)
    folds = committed()
    items = [
        replace(item, patient=patient_of(item.name))
        for item in dataset.items
        if folds.get((origin, item.name)) in wanted
    ]
    return replace(dataset, items=tuple(items))


def without_target(data: Path, origin: str, fold: int) -> list[Path]:
    """Return the images without the target that stand for a set in one fold, beside those of the set itself.

    The brain set has none; the captioned set has, and no head has seen these.
    """
    if origin != "brain_mr":
        return []
    return brain_without_tumour(data)[(fold - 1) * WORDS_PER_FOLD : fold * WORDS_PER_FOLD]


def chosen(dataset: Dataset, each: int) -> Dataset:
    """Return the first ``each`` images whose truth is not empty, in :func:`dealt` order."""
    ordered = sorted(dataset.items, key=lambda item: dealt(item.name))
    shown = [item for item in ordered if item.truth().any()][:each]
    return replace(dataset, items=tuple(shown))


def dealt(name: str) -> str:
    """Return what names are sorted by where some stand for all: an order that knows nothing of the images."""
    return hashlib.sha256(name.encode()).hexdigest()


def score_fold(data: Path, head: Path, fold: int, prompts: Mapping[str, Prompts]) -> dict[str, list[Scored]]:
    """Score what the head without one fold never saw, of the three sets and of CT; ``prompts`` by set."""
    torch.set_num_threads(1)
    method = method_with(head)
    scored = _score_ct(data, method, fold, prompts)
    for origin in SETS:
        dataset = held_out(data, origin, fold)
        asked = {item.name: prompts[origin] for item in dataset.items}
        scored[origin] = [one for one, _ in evaluate(dataset, asked, method)]
    return scored


def _score_ct(
    data: Path, method: Method, fold: int, prompts: Mapping[str, Prompts]
) -> dict[str, list[Scored]]:
    """Score the method and its bound on the CT of the hospital that the head never saw, in each window."""
    boxes = AskBaseline(TruthBoxes(), ())
    scored = {}
    for window, dataset in held_out_ct(data, fold).items():
        asked = {item.name: prompts[set_of(window)] for item in dataset.items}
        scored[bound_of(window)] = [one for one, _ in evaluate(dataset, asked, method, asking=boxes)]
        scored[set_of(window)] = [one for one, _ in evaluate(dataset, asked, method)]
    return scored


def cases(origin: str, name: str, shown: bool, prompts: Prompts) -> Iterator[Case]:
    """Yield the questions about one image, of every kind."""
    if shown:
        yield Case(name, prompts[0], "right")
        yield from (Case(name, prompt, "paraphrase") for prompt in vocabulary()[CONCEPT[origin]].held_out[:2])
        absent = IN_THE_RIGHT_ORGAN[origin]
    else:
        absent = (prompts[0], *IN_THE_RIGHT_ORGAN[origin])
    yield from (Case(name, prompt, "absent") for prompt in absent)
    yield from (Case(name, prompt, "other-organ") for prompt in OTHER_ORGAN[origin])
    yield from (Case(name, prompt, "nonsense") for prompt in nothing_held_out()["nonsense"])


def ask_fold(data: Path, head: Path, fold: int, prompts: Mapping[str, Prompts]) -> dict[str, list[Reply]]:
    """Ask some images of one fold in many wordings; the replies by set."""
    torch.set_num_threads(1)
    method = method_with(head)
    replies = {}
    for origin in SETS:
        items = held_out(data, origin, fold).items
        empty = [item for item in items if not read_mask(item.mask).any()]
        filled = [item for item in items if item not in empty][:WORDS_PER_FOLD]
        shown = {item.name: item.image for item in filled}
        absent = {item.name: item.image for item in empty}
        absent |= {path.stem: path for path in without_target(data, origin, fold)}
        images = shown | absent
        asked = [case for name in images for case in cases(origin, name, name in shown, prompts[origin])]
        replies[origin] = list(reply_to(asked, _reader(images), _always(method)))
    return replies


def _reader(images: Mapping[str, Path]) -> Callable[[str], Image]:
    return lambda name: read_image(images[name])


def _always(method: Method) -> Callable[[str], Method]:
    return lambda _: method


def kept_scores(
    work: Path, data: Path, head: Path, fold: int, prompts: Mapping[str, Prompts]
) -> dict[str, list[Scored]]:
    """Return :func:`score_fold`, from ``work`` where it was finished before."""
    path = work / f"scores_{fold}_{key(head, method_with(head).settings, prompts)}.json"
    return scored_from_json(kept(path, lambda: scored_to_json(score_fold(data, head, fold, prompts))))


def kept_words(
    work: Path, data: Path, head: Path, fold: int, prompts: Mapping[str, Prompts]
) -> dict[str, Words]:
    """Return the counts of :func:`ask_fold`, from ``work`` where it was finished before."""

    def count() -> dict[str, Any]:
        replies = ask_fold(data, head, fold, prompts)
        return {origin: asdict(summarise(own)) for origin, own in replies.items()}

    path = work / f"words_{fold}_{key(head, method_with(head).settings, prompts)}.json"
    return words_from_json(kept(path, count))


def score(
    data: Path, heads: Sequence[Path], prompts: Mapping[str, Prompts], processes: int, work: Path
) -> tuple[dict[str, list[Scored]], dict[str, Words]]:
    """Score every image by the head that never saw it, and ask the wordings; both by set, no words of CT.

    Every finished fold is kept under ``work``.
    """
    folds = range(1, FOLDS + 1)
    # Torch's threads do not survive a fork: the processes start afresh.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        scoring = [pool.submit(kept_scores, work, data, heads[fold - 1], fold, prompts) for fold in folds]
        asking = [pool.submit(kept_words, work, data, heads[fold - 1], fold, prompts) for fold in folds]
        scored = [done.result() for done in scoring]
        words = [done.result() for done in asking]
    return (
        {origin: [one for part in scored for one in part[origin]] for origin in (*SETS, *CT_SETS)},
        {origin: merged([part[origin] for part in words]) for origin in SETS},
    )
