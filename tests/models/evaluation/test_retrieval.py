"""Retrieval in groups: known permutations, chance, ties, short groups, equal captions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.retrieval import RetrievalSettings, groups, ranks, retrieve

few = settings(max_examples=25)


def rows(count: int, seed: int, width: int = 64) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def shares(directions):
    return [
        (direction.top1, direction.top2) for direction in (directions.image_to_text, directions.text_to_image)
    ]


@few
@given(st.integers(2, 130), st.integers(0, 1000))
def test_equal_embeddings_give_everything(count, seed):
    image = rows(count, seed)
    result = retrieve(image, image, range(count))
    assert shares(result.strict) == [(1.0, 1.0), (1.0, 1.0)]
    assert result.strict.image_to_text.top1_std == 0.0
    assert result.tolerant is None
    assert result.score == 1.0


def test_random_embeddings_give_chance():
    result = retrieve(rows(5000, 1), rows(5000, 2), range(5000))
    for top1, top2 in shares(result.strict):
        assert top1 == pytest.approx(1 / 50, abs=0.004)
        assert top2 == pytest.approx(2 / 50, abs=0.006)
    assert 0 < result.strict.image_to_text.top1_std < 0.01


def test_a_permuted_caption_list_gives_the_score_of_its_permutation():
    """10 of 40 pairs in one group keep their caption, 30 exchange it in a ring."""
    image = torch.eye(40)
    order = torch.arange(40)
    order[10:] = order[10:].roll(1)
    result = retrieve(image, image[order], range(40), RetrievalSettings(runs=3))
    assert [top1 for top1, _ in shares(result.strict)] == [0.25, 0.25]
    assert result.strict.image_to_text.top1_std == 0.0


def test_the_second_best_counts_for_top_2_only():
    image = torch.eye(4)
    # Every text is most like the next image, and second most like its own.
    text = 0.6 * image + 0.8 * image.roll(1, 0)
    result = retrieve(image, text, range(4))
    assert shares(result.strict) == [(0.0, 1.0), (0.0, 1.0)]


@few
@given(st.integers(2, 60), st.integers(0, 1000))
def test_the_directions_are_the_two_sides_of_one_matrix(count, seed):
    image, text = rows(count, seed, 4), rows(count, seed + 5000, 4)
    there, back = retrieve(image, text, range(count)).strict, retrieve(text, image, range(count)).strict
    assert there.image_to_text == back.text_to_image
    assert there.text_to_image == back.image_to_text


@few
@given(st.integers(2, 120), st.integers(2, 50), st.integers(0, 20), st.integers(0, 4))
def test_groups_hold_every_pair_once_and_only_the_last_is_short(count, size, seed, run):
    found = groups(count, RetrievalSettings(size, seed=seed), run)
    assert sorted(torch.cat(found).tolist()) == list(range(count))
    assert all(len(group) == size for group in found[:-1])
    assert 0 < len(found[-1]) <= size


def test_7042_pairs_in_groups_of_50_end_with_a_group_of_42():
    assert [len(group) for group in groups(7042, RetrievalSettings(), 0)][-2:] == [50, 42]


def test_runs_are_shuffled_differently_and_the_same_each_time():
    settings = RetrievalSettings()
    first, second = groups(100, settings, 0), groups(100, settings, 1)
    assert not torch.equal(first[0], second[0])
    assert torch.equal(first[0], groups(100, settings, 0)[0])
    image, text = rows(120, 3, 3), rows(120, 4, 3)
    assert retrieve(image, text, range(120)) == retrieve(image, text, range(120))


def test_an_embedding_that_is_always_the_same_gains_nothing_from_ties():
    constant = torch.ones(100, 8)
    result = retrieve(constant, constant, range(100))
    for top1, top2 in shares(result.strict):
        assert top1 == pytest.approx(1 / 50)
        assert top2 == pytest.approx(2 / 50)


def test_ties_are_ranked_by_position():
    assert ranks(torch.zeros(3, 3)).tolist() == [0, 1, 2]
    assert ranks(torch.tensor([[0.0, 1.0], [1.0, 1.0]])).tolist() == [1, 1]


def test_equal_captions_are_reported_under_both_policies():
    captions = ["lungs"] * 10 + ["brain"] * 10
    image = torch.eye(2).repeat_interleave(10, 0)
    result = retrieve(image, image, captions)
    assert shares(result.tolerant) == [(1.0, 1.0), (1.0, 1.0)]
    assert shares(result.strict) == [(0.1, 0.2), (0.1, 0.2)]
    assert result.score == 1.0


@few
@given(st.integers(4, 60), st.integers(1, 10), st.integers(0, 1000))
def test_the_tolerant_policy_never_scores_lower(count, different, seed):
    captions = np.random.default_rng(seed).integers(0, different, count).tolist()
    result = retrieve(rows(count, seed, 4), rows(count, seed + 1, 4), captions)
    if result.tolerant is not None:
        for strict, tolerant in zip(shares(result.strict), shares(result.tolerant), strict=True):
            assert tolerant >= strict


@pytest.mark.parametrize(("images", "texts", "captions"), [(1, 1, 1), (3, 4, 3), (3, 3, 2)])
def test_what_does_not_pair_up_is_refused(images, texts, captions):
    with pytest.raises(ValueError, match="at least 2 pairs"):
        retrieve(rows(images, 1), rows(texts, 2), range(captions))


@pytest.mark.parametrize("wrong", [{"group": 1}, {"runs": 0}])
def test_a_protocol_without_groups_or_runs_is_refused(wrong):
    with pytest.raises(ValueError, match="groups of at least 2"):
        RetrievalSettings(**wrong)
