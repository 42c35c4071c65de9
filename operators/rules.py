"""Which conditions of a rule a series does not meet, in sentences.

Values of the header are not repeated where people write them: descriptions can hold names.
"""

import math
import re
from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset

from operators import header as tags
from operators.slices import axes, slices_of
from operators.sop_classes import ENHANCED
from operators.study import Series
from operators.task import Condition, Orientation, Range, SeriesRule

_AXES: dict[Orientation, int] = {"sagittal": 0, "coronal": 1, "axial": 2}
"""The axis of LPS that the normal of such slices follows."""


def mismatches(rule: SeriesRule, series: Series) -> tuple[str, ...]:
    """Return every condition of ``rule`` that ``series`` does not meet; empty when it matches."""
    return tuple(
        sentence
        for check in (_modality, _texts, _tags, _orientation, _images)
        for sentence in check(rule, series)
    )


def _modality(rule: SeriesRule, series: Series) -> Iterator[str]:
    if rule.modality is not None and series.modality not in {name.upper() for name in rule.modality}:
        yield f"Modality {series.modality or '(none)'} is not {' or '.join(rule.modality)}."


def _texts(rule: SeriesRule, series: Series) -> Iterator[str]:
    conditions = {
        "BodyPartExamined": rule.body_part_examined,
        "SeriesDescription": rule.series_description,
        "StudyDescription": rule.study_description,
        "ProtocolName": rule.protocol_name,
    }
    for keyword, pattern in conditions.items():
        if pattern is not None and not _meets(series, keyword, pattern):
            yield f"{keyword} {_said(pattern, False)}."
    unwanted = rule.not_series_description
    if unwanted is not None and _meets(series, "SeriesDescription", unwanted):
        yield f"SeriesDescription {_said(unwanted, True)}, which the rule keeps out."


def _tags(rule: SeriesRule, series: Series) -> Iterator[str]:
    for keyword, condition in rule.tags.items():
        if not _meets(series, keyword, condition):
            yield f"{keyword} {_said(condition, False)}."
    for keyword, condition in rule.not_tags.items():
        if _meets(series, keyword, condition):
            yield f"{keyword} {_said(condition, True)}, which the rule keeps out."


def _orientation(rule: SeriesRule, series: Series) -> Iterator[str]:
    wanted = rule.orientation
    if wanted is None:
        return
    planes = [plane for instance in series.instances for plane in slices_of(instance) if plane.orientation]
    if not planes:
        yield f"Without ImageOrientationPatient it is not known to be {wanted}."
        return
    normals = np.array([axes(plane)[2] for plane in planes])
    cosines = np.clip(np.abs(normals[:, _AXES[wanted]]), 0.0, 1.0)
    off = float(np.median(np.degrees(np.arccos(cosines))))
    if off > rule.orientation_tolerance:
        yield f"Its slices are {off:.0f} degrees from {wanted}; {rule.orientation_tolerance:g} are allowed."


def _images(rule: SeriesRule, series: Series) -> Iterator[str]:
    if rule.images is not None and not _holds(rule.images, series.images):
        yield f"{series.images} images are not {_span(rule.images)}."


def _meets(series: Series, keyword: str, condition: Condition) -> bool:
    holder = _holder(series, keyword)
    if isinstance(condition, str):
        return re.search(condition, tags.text(holder, keyword), re.IGNORECASE) is not None
    number = tags.number(holder, keyword)
    return number is not None and _holds(condition, number)


def _holder(series: Series, keyword: str) -> Dataset:
    """Return what holds an element: the header of the first image, or a group of its first frame."""
    if not series.instances:
        return Dataset()
    first = series.instances[0]
    if tags.value(first.header, keyword) is None and first.sop_class_uid in ENHANCED:
        for group in slices_of(first)[0].groups:
            for sequence in group:
                for item in tags.items(group, sequence.keyword)[:1]:
                    if tags.value(item, keyword) is not None:
                        return item
    return first.header


def _holds(wanted: Range, number: float) -> bool:
    low = -math.inf if wanted.min is None else wanted.min
    high = math.inf if wanted.max is None else wanted.max
    return low <= number <= high


def _said(condition: Condition, holds: bool) -> str:
    if isinstance(condition, str):
        return f"{'matches' if holds else 'does not match'} {condition!r}"
    return f"is {'' if holds else 'not '}{_span(condition)}"


def _span(wanted: Range) -> str:
    if wanted.min is None or wanted.max is None:
        parts = [(wanted.min, "at least"), (wanted.max, "at most")]
        return " ".join(f"{word} {end:g}" for end, word in parts if end is not None) or "a number"
    return f"between {wanted.min:g} and {wanted.max:g}"
