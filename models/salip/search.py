"""Searching the settings of SaLIP: with the labels of a tuning set, or without any.

The paper tunes SAM's mask generator and the area threshold by Dice on five labelled images, drawn from the
very set that it reports on, with a seed taken from the clock. Here the tuning set is given, must be apart
from what is evaluated, and the same seed finds the same settings.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter
from torch import Tensor

from models.contracts import DualEncoder, Image, PromptableSegmenter
from models.errors import Code, ConfigError, DatasetError
from models.evaluation.files import replace_text
from models.evaluation.metrics import dice
from models.labelled import Identity, Labelled, refuse_overlap
from models.salip.salip import Proposal, finish, pick
from models.salip.settings import SalipSettings
from models.segmenters.everything import EverythingSettings, segment_everything

EVERYTHING = "everything."

Space = Mapping[str, Sequence[Any]]
"""Values to try by name of a field of :class:`SalipSettings`, or ``everything.`` and a field of that."""

SPACE: Space = {
    "everything.points_per_side": (4, 8, 16),
    "everything.predicted_iou": (0.2, 0.5, 0.8),
    "everything.stability": (0.2, 0.5, 0.8),
    "everything.box_nms": (0.7, 0.8, 0.9),
    "everything.crop_nms": (0.7, 0.8, 0.9),
    "area": ((0.0, 0.31), (0.0, 0.61), (0.0, 0.76)),
}
"""What SaLIP's released search tries; areas of 20,000, 40,000 and 50,000 of 65,536 pixels as fractions."""


@dataclass(frozen=True)
class Models:
    """What SaLIP runs on while its settings are searched."""

    segmenter: PromptableSegmenter
    encoder: DualEncoder


@dataclass(frozen=True)
class Trial:
    """One candidate and its score on each image of the tuning set."""

    settings: SalipSettings
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The number that the search makes as large as it can."""
        return float(np.mean(self.scores))


_read = TypeAdapter(Trial)


def _nobody(*_: object) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Journal:
    """What an interrupted search has found already, and who is told of what comes.

    Attributes
    ----------
    done
        Trials of the same images, text and models, that are not tried again.
    finished
        Told trials as they are finished, several at a time.
    progress
        Told how many of how many images are segmented.
    """

    done: tuple[Trial, ...] = ()
    finished: Callable[[Sequence[Trial]], None] = _nobody
    progress: Callable[[int, int], None] = _nobody


@dataclass(frozen=True)
class Search:
    """What was tried on which images, and by what it was judged: ``dsc`` uses labels, ``margin`` does not."""

    judged_by: Literal["dsc", "margin"]
    names: tuple[str, ...]
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The trial of highest mean score; the first of equals."""
        return max(self.trials, key=lambda trial: trial.mean)

    def record(self) -> dict[str, Any]:
        """Return everything as plain values; ``settings`` is what a task or a bundle takes."""
        return {
            "judged_by": self.judged_by,
            "uses_labels": self.judged_by == "dsc",
            "images": list(self.names),
            "settings": {"salip": overrides(self.best.settings)},
            "best": self.trials.index(self.best),
            "trials": [
                {"settings": asdict(trial.settings), "scores": list(trial.scores), "mean": trial.mean}
                for trial in self.trials
            ],
        }

    def write(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Write the record as JSON, with what else the scores depend on (JSON-able, by names of its own)."""
        replace_text(path, json.dumps({**facts, **self.record()}, indent=2, ensure_ascii=False) + "\n")


def read_trials(path: Path, facts: Mapping[str, Any]) -> tuple[Trial, ...]:
    """Return the trials that an earlier search of the same facts wrote; none where there is no file.

    Raises DatasetError (RUN-MISMATCH) where the file holds something else.
    """
    if not path.is_file():
        return ()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if {name: content[name] for name in facts} == dict(facts):
            return tuple(_read.validate_python(trial) for trial in content["trials"])
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            Code.RUN_MISMATCH, f"{path} is no search ({error}); remove it or name another file"
        ) from error
    raise DatasetError(
        Code.RUN_MISMATCH, f"{path} holds a search of other images, words or models; name another file"
    )


def overrides(settings: SalipSettings) -> dict[str, Any]:
    """Return what a search looks for, and the number of regions, as overrides of :class:`SalipSettings`."""
    names = [name.removeprefix(EVERYTHING) for name in SPACE if name.startswith(EVERYTHING)]
    everything = asdict(settings.everything)
    return {
        "k": settings.k,
        "area": list(settings.area),
        "everything": {name: everything[name] for name in names},
    }


def grid(base: SalipSettings, space: Space) -> tuple[SalipSettings, ...]:
    """Return every combination of the values of a space, the other settings as in ``base``.

    Raises ConfigError (USAGE) for a name that is no setting, or a name without values.
    """
    known = {field.name for field in fields(SalipSettings)}
    known |= {f"everything.{field.name}" for field in fields(EverythingSettings)}
    for name, values in space.items():
        if name not in known or not len(values):
            raise ConfigError(Code.USAGE, f"{name}: not a setting of SaLIP, or no values to try")
    return tuple(
        _with(base, dict(zip(space, chosen, strict=True))) for chosen in itertools.product(*space.values())
    )


def drawn(base: SalipSettings, space: Space, count: int, seed: int) -> tuple[SalipSettings, ...]:
    """Return ``count`` different points of the grid, drawn by a seed; all of them where there are fewer.

    Raises ConfigError (USAGE) as :func:`grid` does.
    """
    points = grid(base, space)
    picked = np.random.default_rng(seed).permutation(len(points))[:count]
    return tuple(points[index] for index in picked)


def search_with_labels(
    candidates: Sequence[SalipSettings],
    tuning: Sequence[Labelled],
    evaluated: Iterable[Identity],
    models: Models,
    text: Tensor,
    journal: Journal = Journal(),
) -> Search:
    """Judge candidates by their mean DSC on a labelled tuning set; an image that ends as a code scores 0.

    Parameters
    ----------
    candidates
        From :func:`grid` or :func:`drawn`.
    tuning
        Labelled images, each showing the target.
    evaluated
        The images on which the settings will be judged later, none of them in ``tuning``.
    models, text
        The models and the text prototype (D,).
    journal
        For what takes long.

    Raises
    ------
    DatasetError
        DATASET-INVALID: an image, or a patient, is in both sets.
    ConfigError
        USAGE: nothing to search, or a tuning image without the target.
    """
    refuse_overlap(tuning, evaluated)
    for one in tuning:
        if not one.mask.any():
            raise ConfigError(Code.USAGE, f"tuning image {one.name} does not show the target; give others")

    def judge(index: int, proposal: Proposal, settings: SalipSettings) -> float:
        answer = finish(models.segmenter, tuning[index].image, proposal, settings.second_pass)
        return 0.0 if isinstance(answer, Code) else dice(tuning[index].mask, answer) or 0.0

    images = [one.image for one in tuning]
    names = tuple(one.name for one in tuning)
    return Search("dsc", names, _trials(candidates, images, models, text, judge, journal))


def search_by_margin(
    candidates: Sequence[SalipSettings],
    images: Mapping[str, Image],
    models: Models,
    text: Tensor,
    journal: Journal = Journal(),
) -> Search:
    """Judge candidates by how clearly the encoder chooses: the mean margin over unlabelled images by name.

    An image without a choice, or with no other region to choose from, scores 0: settings that leave nothing
    to compare are not clear. Raises ConfigError (USAGE) where there is nothing to search.
    """

    def judge(_: int, proposal: Proposal, settings: SalipSettings) -> float:
        del settings
        undecided = proposal.code in {Code.NO_REGION, Code.REGIONS_ALIKE}
        return 0.0 if undecided or proposal.margin is None else proposal.margin

    trials = _trials(candidates, list(images.values()), models, text, judge, journal)
    return Search("margin", tuple(images), trials)


def _trials(
    candidates: Sequence[SalipSettings],
    images: Sequence[Image],
    models: Models,
    text: Tensor,
    judge: Callable[[int, Proposal, SalipSettings], float],
    journal: Journal,
) -> tuple[Trial, ...]:
    if not candidates or not images:
        raise ConfigError(Code.USAGE, "a search needs at least one candidate and one image")
    known = {trial.settings: trial for trial in journal.done}
    missing = [candidate for candidate in candidates if candidate not in known]
    # To segment everything is most of the work: candidates that differ only after it share it.
    shared = tuple(dict.fromkeys(candidate.everything for candidate in missing))
    for number, everything in enumerate(shared):
        own = [candidate for candidate in missing if candidate.everything == everything]
        scores = np.zeros((len(own), len(images)))
        for column, image in enumerate(images):
            regions = segment_everything(models.segmenter, image, everything)
            for row, candidate in enumerate(own):
                proposal = pick(models.encoder, image, text, regions, candidate)
                scores[row, column] = judge(column, proposal, candidate)
            journal.progress(number * len(images) + column + 1, len(shared) * len(images))
        found = [Trial(one, tuple(row.tolist())) for one, row in zip(own, scores, strict=True)]
        known |= {trial.settings: trial for trial in found}
        journal.finished(found)
    return tuple(known[candidate] for candidate in candidates)


def _with(base: SalipSettings, values: Mapping[str, Any]) -> SalipSettings:
    inner = {
        name.removeprefix(EVERYTHING): value for name, value in values.items() if name.startswith(EVERYTHING)
    }
    outer = {name: value for name, value in values.items() if not name.startswith(EVERYTHING)}
    everything = outer.pop("everything", base.everything)
    return replace(base, everything=replace(everything, **inner), **outer)
