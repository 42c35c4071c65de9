"""What is asked of the method: a task, its targets and the series it applies to.

These are the shapes of ``tasks:`` in app.yaml. They live here, and not with the configuration file,
because the graph and the writers need them and must not know where they came from.
"""

import hashlib
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydicom.datadict import tag_for_keyword

from models.prompts import check_prompts

PRIVATE_SCHEME = "99TEXTSEG"
"""Coding Scheme Designator of our private codes, which every object that uses one declares."""


class Frozen(BaseModel):
    """Base of every configured value: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CodedConcept(Frozen):
    """A code of PS3.16: value, coding scheme designator and meaning (LO, at most 64 characters)."""

    value: Annotated[str, Field(min_length=1, max_length=16)]
    scheme: Annotated[str, Field(min_length=1, max_length=16)]
    meaning: Annotated[str, Field(min_length=1, max_length=64)]


class Segment(Frozen):
    """How a target is named in the SEG: label, property category, type, anatomic region (PS3.3 C.8.20.2)."""

    label: Annotated[str, Field(min_length=1, max_length=20)]
    category: CodedConcept
    type: CodedConcept
    region: CodedConcept | None = None


class Target(Frozen):
    """One structure: the segment it becomes and the wordings that mean it."""

    segment: Segment
    prompts: Annotated[tuple[str, ...], Field(min_length=1)]


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {pattern!r} ({error})") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


class Range(Frozen):
    """An inclusive range; an open end is left out."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


def _keyword(keyword: str) -> str:
    if tag_for_keyword(keyword) is None:
        raise ValueError(
            f"{keyword!r} is no keyword of the DICOM data dictionary (PS3.6), such as SliceThickness"
        )
    return keyword


Keyword = Annotated[str, AfterValidator(_keyword)]


def _is_text(value: object) -> str:
    return "text" if isinstance(value, str) else "mapping"


Condition = Annotated[
    Annotated[Pattern, Tag("text")] | Annotated[Range, Tag("mapping")], Discriminator(_is_text)
]
"""A regular expression that the element's text matches, or a range that holds its first number."""

Orientation = Literal["axial", "coronal", "sagittal"]
Criterion = Literal[
    "most-images",
    "fewest-images",
    "thinnest-slices",
    "largest-matrix",
    "lowest-series-number",
    "highest-series-number",
]
"""What makes one series better than another that matches as well."""


class SeriesRule(Frozen):
    """Which series a task takes. Every condition that is given must hold; regular expressions ignore case.

    ``tags`` and ``not_tags`` name elements by DICOM keyword, with a regular expression or a range of numbers;
    ``orientation`` is that of most slices, their normal within ``orientation_tolerance`` degrees of the
    body's axis; ``images`` counts slices or frames. Of several matching series the first by ``best``, taken
    in its order, is the one that the task gets, unless it takes all.
    """

    modality: tuple[str, ...] | None = None
    body_part_examined: Pattern | None = None
    series_description: Pattern | None = None
    not_series_description: Pattern | None = None
    study_description: Pattern | None = None
    protocol_name: Pattern | None = None
    tags: dict[Keyword, Condition] = {}
    not_tags: dict[Keyword, Condition] = {}
    orientation: Orientation | None = None
    orientation_tolerance: Annotated[float, Field(gt=0, le=45)] = 30.0
    images: Range | None = None
    best: tuple[Criterion, ...] = ("most-images", "largest-matrix", "lowest-series-number")


class CentreWidth(Frozen):
    """A window in the values of the images, Hounsfield units for CT."""

    centre: float
    width: Annotated[float, Field(gt=0)]


class Percentiles(Frozen):
    """A window from one percentile of the values to another: of a whole volume, or of each picture."""

    percentiles: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(le=100)]]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.percentiles[0] >= self.percentiles[1]:
            raise ValueError(f"percentile {self.percentiles[0]:g} is not below {self.percentiles[1]:g}")
        return self


def _window_kind(value: object) -> str:
    if isinstance(value, Percentiles) or (isinstance(value, dict) and "percentiles" in value):
        return "percentiles"
    return "name" if isinstance(value, str) else "centre"


WindowName = Literal["auto", "soft-tissue", "lung", "bone", "brain"]
AskedWindow = Annotated[
    Annotated[WindowName, Tag("name")]
    | Annotated[CentreWidth, Tag("centre")]
    | Annotated[Percentiles, Tag("percentiles")],
    Discriminator(_window_kind),
]

OutputKind = Literal["seg", "pm", "sc", "sr", "ko"]
MapName = Literal["entropy", "mutual-information", "probability", "saliency"]
"""What a Parametric Map can show of a finding; :mod:`operators.quantity` says what each is."""
ObjectKind = Literal["SEG", "PM", "SC", "SR", "KO"]


class Destination(Frozen):
    """An AE of the configuration's list, and the kinds of object it takes."""

    ae: str
    accepts: tuple[ObjectKind, ...] = ("SEG", "PM", "SC")


def _each_once(maps: tuple[MapName, ...]) -> tuple[MapName, ...]:
    if len(set(maps)) != len(maps):
        raise ValueError(f"a map is named twice: {', '.join(maps)}")
    return maps


def _no_preset(settings: dict[str, Any]) -> dict[str, Any]:
    named = {"method", "mode"} & set(settings)
    if named:
        raise ValueError(f"{', '.join(sorted(named))} stands in the task itself, not under settings")
    return settings


class Task(Frozen):
    """One question to the method, asked of every study whose series match ``when``.

    ``settings`` replaces values of the preset that ``method`` and ``mode`` name. What it may hold is known to
    :mod:`models.settings`, which imports torch: its names are checked by `textseg check-config` and when a
    worker starts (:mod:`app.task_settings`). ``ensemble`` lets a checkpoint ensemble of the bundle vote,
    where one was trained for the very prompts of a target. ``maps`` are the quantities of which ``pm`` makes
    a Parametric Map, each an object of its own.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,19}$")]
    when: SeriesRule = SeriesRule()
    all: bool = False
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    method: Literal["medclip-sam-v2", "medclip-sam", "salip"] = "medclip-sam-v2"
    mode: Literal["recommended", "paper", "released"] = "recommended"
    settings: Annotated[dict[str, Any], AfterValidator(_no_preset)] = {}
    ensemble: bool = True
    window: AskedWindow = "auto"
    outputs: tuple[OutputKind, ...] = ("seg", "pm")
    maps: Annotated[tuple[MapName, ...], Field(min_length=1), AfterValidator(_each_once)] = ("entropy",)
    segmentation_type: Literal["binary", "labelmap"] = "binary"
    destinations: tuple[Destination, ...] = ()
    on_failure: Literal["none", "sc"] = "none"
    max_results_per_study: Annotated[int, Field(ge=1, le=100)] = 8
    max_minutes: Annotated[float, Field(gt=0)] = 60.0
    priority: Annotated[int, Field(ge=1, le=100)] = 50
    seed: int = 0

    @property
    def further_maps(self) -> tuple[MapName, ...]:
        """The maps that are asked for beside the entropy, which is kept of every finding."""
        return tuple(name for name in self.maps if name != "entropy") if "pm" in self.outputs else ()

    @property
    def says_nothing_as(self) -> Literal["SR", "SC"]:
        """The kind of the one object that says "nothing found": a report where all destinations take one."""
        return "SR" if all("SR" in item.accepts for item in self.destinations) else "SC"

    @model_validator(mode="after")
    def _has_what_it_refers_to(self) -> Self:
        if "sr" in self.outputs and "seg" not in self.outputs:
            raise ValueError("the report (sr) measures and refers to the segmentation: add seg to outputs")
        return self

    @model_validator(mode="after")
    def _is_preset(self) -> Self:
        if self.mode == "released" and self.method != "medclip-sam-v2":
            raise ValueError(f"method {self.method} has no mode released, only medclip-sam-v2 has")
        return self


PROMPTED = CodedConcept(value="PROMPTED", scheme=PRIVATE_SCHEME, meaning="Structure named by a text prompt")
"""Category of what is asked for in free words: an SCT code would claim more than is known."""


def prompt_task(prompt: str) -> Task:
    """Return the task that asks one free prompt of every series.

    Raises
    ------
    PromptError
        PROMPT_EMPTY or PROMPT_TOO_LONG.
    """
    check_prompts((prompt,))
    words = " ".join(prompt.split())
    slug = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:20].rstrip("-")
    value = "P" + hashlib.sha256(words.encode()).hexdigest()[:12].upper()
    segment = Segment(
        label=words[:20].strip(),
        category=PROMPTED,
        type=CodedConcept(value=value, scheme=PRIVATE_SCHEME, meaning=words[:64].strip()),
    )
    return Task(name=slug or "prompt", all=True, targets=(Target(segment=segment, prompts=(prompt,)),))
