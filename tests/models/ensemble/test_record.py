from dataclasses import replace

import pytest

from models.ensemble.record import DESCRIPTION, read_record
from models.errors import Code, ModelError
from tests.models.ensemble.folder import ensemble


def refused(folder) -> Code:
    with pytest.raises(ModelError) as error:
        read_record(folder)
    assert str(folder) in error.value.message
    return error.value.code


def test_a_folder_says_what_it_is_for_and_what_it_is_made_of(tmp_path):
    record = ensemble(tmp_path / "one")
    assert record.answers(["bright"], "medclip-sam-v2")
    assert [member.epoch for member in record.members] == [1, 2, 3]
    assert record.model().sha256 == record.digest
    assert read_record(tmp_path / "one") == record


def test_it_answers_no_other_words_and_no_other_method(tmp_path):
    record = ensemble(tmp_path / "one")
    assert not record.answers(["bright", "dark"], "medclip-sam-v2")
    assert not record.answers(["dark"], "medclip-sam-v2")
    assert not record.answers([], "medclip-sam-v2")
    assert not record.answers(["bright"], "salip")


def test_cycles_are_heard_in_turn_the_end_of_each_first(tmp_path):
    record = ensemble(tmp_path / "one", members=1)
    (member,) = record.members
    epochs = (19, 20, 39, 40, 59, 60)
    cycles = replace(record, members=tuple(replace(member, epoch=epoch) for epoch in epochs))
    assert [one.epoch for one in cycles.in_turn()] == [20, 40, 60, 19, 39, 59]


def test_an_ensemble_of_true_masks_answers_under_any_method(tmp_path):
    assert ensemble(tmp_path / "one", labels="truth", method=None).answers(["bright"], "salip")


def test_a_missing_member_is_no_smaller_ensemble(tmp_path):
    record = ensemble(tmp_path / "one")
    record.members[1].path.unlink()
    assert refused(tmp_path / "one") is Code.MODEL_MISSING


def test_an_altered_member_is_refused(tmp_path):
    record = ensemble(tmp_path / "one")
    path = record.members[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert refused(tmp_path / "one") is Code.MODEL_HASH_MISMATCH


def test_a_folder_without_a_description_or_members_is_refused(tmp_path):
    assert refused(tmp_path) is Code.MODEL_MISSING
    with pytest.raises(ModelError) as error:
        ensemble(tmp_path / "none", members=0)
    assert error.value.code is Code.ENSEMBLE_EMPTY


@pytest.mark.parametrize("text", ["[", "name: x", "- a"])
def test_a_description_that_is_none_is_refused(tmp_path, text):
    (tmp_path / DESCRIPTION).write_text(text)
    assert refused(tmp_path) is Code.BUNDLE_INVALID
