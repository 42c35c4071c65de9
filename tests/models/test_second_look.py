"""The second look: where it looks, when both vote, and that an absent or a large target gets none."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bundles.bundle import Bundle
from models.errors import Code
from models.method import Method
from models.second_look import SecondLook, joined, window_around
from models.stages import Members
from tests.models.toy import BoxSegmenter, ToyEncoder, picture

LOOK = SecondLook(agreement=0.65)


def marked(size: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(size, np.bool_)
    mask[rows, columns] = True
    return mask


def members(size: tuple[int, int], rows: slice, columns: slice) -> Members:
    return Members(np.repeat(0.9 * marked(size, rows, columns)[None].astype(np.float32), 4, 0))


@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    corner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    share=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    settings=st.builds(SecondLook, st.just(0.65), st.floats(0, 2), st.floats(0, 1), st.just(1.0)),
)
def test_a_window_lies_on_the_image_and_holds_all_that_is_marked(size, corner, share, settings):
    starts = [int(c * (n - 1)) for c, n in zip(corner, size, strict=True)]
    stops = [a + 1 + int(s * (n - a - 1)) for a, s, n in zip(starts, share, size, strict=True)]
    window = window_around(marked(size, *map(slice, starts, stops)), settings)
    assert window is not None
    for side, start, stop, length in zip(window, starts, stops, size, strict=True):
        assert 0 <= side.start <= start < stop <= side.stop <= length
        assert side.stop - side.start >= min(length, settings.least * length) - 1


def test_what_is_large_or_nothing_is_not_looked_at_again():
    assert window_around(marked((60, 60), slice(5, 55), slice(5, 55)), LOOK) is None
    assert window_around(np.zeros((60, 60), np.bool_), LOOK) is None
    assert window_around(marked((60, 60), slice(20, 26), slice(20, 26)), SecondLook()) is None


def test_two_looks_that_agree_vote_with_the_same_weight():
    first = members((40, 40), slice(10, 20), slice(10, 20))
    second = members((20, 20), slice(5, 15), slice(5, 14))
    both = joined(first, second, (slice(5, 25), slice(5, 25)), LOOK)
    assert both.probability.shape == (8, 40, 40)
    mean = both.probability.mean(0)
    assert mean[15, 15] == pytest.approx(0.9)
    assert mean[15, 19] == pytest.approx(0.45)
    assert mean[30, 30] == 0.0


@pytest.mark.parametrize(
    "second",
    [
        members((20, 20), slice(0, 20), slice(0, 20)),
        members((20, 20), slice(0, 3), slice(0, 3)),
        Members(np.zeros((0, 20, 20), np.float32), Code.NO_COMPONENT),
        Members(np.zeros((4, 20, 20), np.float32)),
    ],
    ids=["takes all", "looks elsewhere", "finds no component", "doubts"],
)
def test_a_look_that_disagrees_does_not_count(second):
    first = members((40, 40), slice(10, 20), slice(10, 20))
    assert joined(first, second, (slice(5, 25), slice(5, 25)), LOOK) is first


@pytest.fixture
def method() -> Method:
    bundle = Bundle("toy", "0", "d" * 64, ToyEncoder(), BoxSegmenter(), (), {"relevance_tokens": 0.05})
    return Method(bundle).using("medclip-sam-v2", "recommended", {"second_look": {"agreement": 0.3}})


def looks(method: Method, image: np.ndarray) -> tuple[Members, Members]:
    text = method.text(["bright"])
    first = method.refine(image, method.coarse(image, method.saliency(image, text, 0)), 0)
    return first, method.look_again(image, text, first, 0)


def test_a_closer_look_sees_where_a_small_object_ends(method):
    """The toy sees 8 x 8 cells: of the whole image one of 16 pixels, of the window one of about 6."""
    image = picture(128, 128, [(40, 40, 60, 60)])
    first, both = looks(method, image)
    truth = marked((128, 128), slice(40, 60), slice(40, 60))
    assert len(both.probability) == 2 * len(first.probability)
    closer = both.probability[len(first.probability) :].mean(0) > 0.5
    assert (closer ^ truth).sum() < ((first.probability.mean(0) > 0.5) ^ truth).sum()


def test_salip_gscorecam_and_papers_look_once(method):
    image = picture(128, 128, [(40, 40, 60, 60)])
    first, _ = looks(method, image)
    text = method.text(["bright"])
    for asked in (
        Method(method.bundle, replace(method.settings, method="salip")),
        Method(method.bundle, method.settings.overridden({"saliency": {"method": "gscorecam"}})),
        method.using("medclip-sam-v2", "paper"),
    ):
        assert asked.look_again(image, text, first, 0) is first


def test_a_second_look_is_the_same_for_the_same_seed(method):
    image = picture(128, 128, [(40, 40, 60, 60)])
    assert np.array_equal(looks(method, image)[1].probability, looks(method, image)[1].probability)
