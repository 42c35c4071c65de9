"""The split: whole patients, the share asked for, the same for one seed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import Code, DatasetError
from models.finetune.split import split
from tests.models.finetune.toy import pair

patients = st.lists(st.integers(0, 30), min_size=20, max_size=40)


@settings(max_examples=25)
@given(patients, st.integers(0, 100), st.floats(0.1, 0.4))
def test_no_patient_is_on_both_sides_and_no_pair_is_lost(owners, seed, share):
    pairs = [pair(str(i), str(owner)) for i, owner in enumerate(owners)]
    try:
        found = split(pairs, share, seed)
    except DatasetError:
        return
    assert not {one.patient for one in found.train} & {one.patient for one in found.held_out}
    assert sorted((*found.train, *found.held_out), key=lambda one: int(str(one.image))) == pairs
    most = max(owners.count(owner) for owner in owners)
    assert round(share * len(pairs)) <= len(found.held_out) < round(share * len(pairs)) + most


def test_the_paper_s_share_where_every_image_has_its_own_patient():
    found = split([pair(str(i), str(i)) for i in range(100)], 0.15, 0)
    assert (len(found.train), len(found.held_out)) == (85, 15)


def test_a_seed_gives_the_same_split_and_another_seed_another():
    pairs = [pair(str(i), str(i)) for i in range(100)]
    assert split(pairs, 0.15, 3) == split(pairs, 0.15, 3)
    assert split(pairs, 0.15, 3) != split(pairs, 0.15, 4)


def test_a_single_patient_cannot_be_split():
    with pytest.raises(DatasetError) as caught:
        split([pair(str(i), "one") for i in range(10)], 0.15, 0)
    assert caught.value.code is Code.DATASET_INVALID
    assert "10 pairs of 1 patients" in caught.value.message
