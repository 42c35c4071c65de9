"""Which regions are chosen, and when none is."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import Code
from models.salip.choose import Choice, choose, distinct, ranked
from models.salip.settings import SalipSettings
from models.segmenters.everything import Region
from tests.models.salip.stubs import rectangle, region

SIZE = (10, 40)


def regions() -> tuple[Region, ...]:
    """A left region, the same one again with a column less, a right one and a middle one."""
    boxes = [(0, 0, 10, 10), (0, 0, 9, 10), (30, 0, 40, 10), (15, 0, 20, 10)]
    return tuple(region(rectangle(SIZE, box)) for box in boxes)


def chosen(scores: list[float], k: int, **options: float) -> Choice:
    numbers = {"duplicate": 0.5, "margin": 0.0, "similarity": -100.0} | options
    return choose(regions()[: len(scores)], np.array(scores, np.float32), k, **numbers)


def test_the_best_come_first_and_ties_by_index() -> None:
    assert ranked(np.array([1.0, 3.0, 2.0, 3.0], np.float32)) == (1, 3, 2, 0)
    assert chosen([20.0, 1.0, 25.0, 25.0], 2).chosen == (2, 3)


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=12))
def test_ranking_is_a_permutation_in_descending_order(scores: list[float]) -> None:
    order = ranked(np.array(scores, np.float32))
    assert sorted(order) == list(range(len(scores)))
    pairs = list(itertools.pairwise(order))
    assert all(scores[a] > scores[b] or (scores[a] == scores[b] and a < b) for a, b in pairs)


def test_two_crops_of_one_region_do_not_take_the_place_of_the_second_region() -> None:
    """The paper's main failure: both of the two best masks lie on the same lung."""
    scores = [27.0, 26.5, 25.0, 20.0]
    assert chosen(scores, 2, duplicate=1.0).chosen == (0, 1)
    assert chosen(scores, 2).chosen == (0, 2)


def test_walking_stops_at_the_count() -> None:
    assert distinct(regions(), (1, 0, 3, 2), 0.5, 2) == (1, 3)
    assert distinct((), (), 0.5, 2) == ()


def test_fewer_regions_than_the_target_has_is_a_code_and_no_crash() -> None:
    """The paper's released code indexes past the end, or makes do with one lung."""
    assert chosen([27.0, 26.0], 3) == Choice((), None, Code.NO_REGION)
    assert chosen([], 1) == Choice((), None, Code.NO_REGION)


def test_the_same_region_twice_and_no_other_is_a_code() -> None:
    assert chosen([27.0, 26.0], 2) == Choice((), None, Code.REGIONS_ALIKE)


def test_regions_that_do_not_look_like_the_target_are_none() -> None:
    assert chosen([27.0, 26.0, 25.0, 10.0], 2, similarity=24.0).chosen == (0, 2)
    assert chosen([27.0, 10.0, 11.0, 12.0], 2, similarity=24.0).code == Code.NO_REGION
    assert chosen([27.0, 26.0, 11.0, 12.0], 2, similarity=24.0).code == Code.REGIONS_ALIKE


def test_a_choice_that_is_hardly_better_than_the_next_is_a_code() -> None:
    low = chosen([27.0, 26.9, 20.0, 19.9], 2, margin=0.5)
    assert (low.chosen, low.code) == ((), Code.MARGIN_LOW)
    assert low.margin == pytest.approx(0.1, abs=1e-5)
    assert chosen([27.0, 26.9, 20.0, 19.0], 2, margin=0.5).chosen == (0, 2)


def test_a_duplicate_is_no_rival() -> None:
    """The second mask of the same region scores nearly as well, which says nothing about the choice."""
    assert chosen([27.0, 26.99, 20.0], 1, margin=1.0).margin == pytest.approx(7.0)


def test_a_region_without_a_rival_has_no_margin_to_be_low() -> None:
    assert chosen([27.0], 1, margin=5.0) == Choice((0,), None, None)


def test_equal_rivals_are_refused_by_the_defaults() -> None:
    assert chosen([25.0, 1.0, 25.0], 1, margin=SalipSettings().margin).code == Code.MARGIN_LOW
