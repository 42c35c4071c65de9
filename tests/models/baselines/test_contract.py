"""What every baseline owes, and what none is shown."""

import numpy as np
import pytest

from models.baselines.contract import Context, Labels, ask
from models.baselines.registry import BASELINES, Options, baseline
from models.contracts import Image, PromptableSegmenter
from models.errors import Code, ConfigError, TextsegError
from models.evaluation.metrics import Mask
from models.labelled import Labelled
from tests.models.baselines.stubs import Sam, context
from tests.models.toy import BoxSegmenter, picture

IMAGE = picture(20, 30, [(3, 4, 9, 12)])
TRUTH = np.zeros((20, 30), bool)
SHOT = Labelled("s", IMAGE, TRUTH)


def test_the_registry_knows_the_papers_baselines_by_name() -> None:
    assert set(BASELINES) == {
        "sam-unprompted",
        "sam-truth-boxes",
        "sam-clip",
        "samaug",
        "self-prompt-sam",
        "universeg",
        "protosam",
    }
    assert all(baseline(name).name == name for name in BASELINES)


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(ConfigError, match="samaug") as refused:
        baseline("sam-oracle")
    assert refused.value.code == Code.USAGE


def test_only_what_sees_labels_says_so() -> None:
    labels = {name: baseline(name).labels for name in BASELINES}
    assert labels == {
        "sam-unprompted": "none",
        "sam-truth-boxes": "truth",
        "sam-clip": "none",
        "samaug": "none",
        "self-prompt-sam": "support",
        "universeg": "support",
        "protosam": "support",
    }
    assert all(baseline(name).uses_labels == (seen != "none") for name, seen in labels.items())


@pytest.mark.parametrize("name", list(BASELINES))
def test_the_statement_admits_labels(name: str) -> None:
    one = baseline(name)
    for segmenter in (BoxSegmenter(), Sam()):
        statement = one.statement(segmenter)
        assert statement.endswith(".")
        assert ("No labels used" in statement) != one.uses_labels


class Nosy:
    """A baseline that answers with what it was shown."""

    name = "nosy"
    uses_labels = True

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.shown: Context | None = None

    def statement(self, segmenter: PromptableSegmenter) -> str:
        return ""

    def segment(self, image: Image, context: Context) -> Mask | Code:
        self.shown = context
        return Code.NO_MASK


@pytest.mark.parametrize(
    ("labels", "truth", "support"),
    [("none", None, ()), ("support", None, (SHOT,)), ("truth", TRUTH, ())],
)
def test_a_baseline_is_shown_no_label_that_it_does_not_declare(
    labels: Labels, truth: object, support: object
) -> None:
    nosy = Nosy(labels)
    assert ask(nosy, IMAGE, context(truth=TRUTH, support=(SHOT,), seed=5)) == Code.NO_MASK
    assert nosy.shown is not None
    assert nosy.shown.truth is truth
    assert nosy.shown.support == support
    assert nosy.shown.seed == 5


@pytest.mark.parametrize("name", ["sam-truth-boxes", "self-prompt-sam", "universeg", "protosam"])
def test_missing_labels_are_asked_for(name: str) -> None:
    with pytest.raises(TextsegError) as refused:
        ask(baseline(name, Options(command=("true",))), IMAGE, context())
    assert refused.value.code == Code.USAGE
