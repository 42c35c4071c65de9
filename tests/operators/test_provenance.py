"""UIDs, names and numbers follow from what a result is made of, and from nothing else."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.identifiers import is_own_uid, is_valid_uid, own_uid, substitute_uid
from tests.operators.results import provenance, task

SOURCES = ["1.2.3", "1.2.4"]


def test_a_uid_is_a_uuid_under_2_25():
    uid = provenance().instance_uid("SEG", SOURCES, "window")
    root, number = uid.rsplit(".", 1)
    assert root == "2.25"
    assert is_valid_uid(uid)
    assert uuid.UUID(int=int(number)).version == 8


def test_the_order_of_the_sources_does_not_matter():
    made = provenance()
    assert made.instance_uid("SEG", SOURCES, "w") == made.instance_uid("SEG", SOURCES[::-1], "w")


@pytest.mark.parametrize(
    "changed",
    [
        {"bundle_digest": "00" * 32},
        {"settings": {"members": 5}},
        {"software_version": "0.1.1"},
        {"generation": 1},
        {"asked": task(name="other")},
        {"asked": task(seed=7)},
        {"asked": task(targets=[{"segment": task().targets[0].segment, "prompts": ["dark"]}])},
    ],
    ids=["bundle", "settings", "software", "generation", "task", "seed", "prompts"],
)
def test_everything_that_decides_a_result_changes_its_uid(changed):
    one, other = provenance(), provenance(**changed)
    assert one.instance_uid("SEG", SOURCES, "w") != other.instance_uid("SEG", SOURCES, "w")


def test_kind_sources_and_window_change_the_uid():
    made = provenance()
    uids = {
        made.instance_uid("SEG", SOURCES, "w"),
        made.instance_uid("PM", SOURCES, "w"),
        made.instance_uid("SEG", SOURCES[:1], "w"),
        made.instance_uid("SEG", SOURCES, "x"),
    }
    assert len(uids) == 4


def test_the_moment_does_not_change_the_uid():
    one, other = provenance(), provenance(quiet_at=None, replaces="10:30")
    assert one.instance_uid("SEG", SOURCES, "w") == other.instance_uid("SEG", SOURCES, "w")


@given(st.text())
def test_our_uids_are_recognised(content):
    assert is_own_uid(own_uid({"any": content}))


@given(st.integers(0, 2**128 - 1))
def test_other_uids_are_not_ours(number):
    assert not is_own_uid(f"2.25.{number}")
    assert not is_own_uid(substitute_uid([str(number)]))


@pytest.mark.parametrize("foreign", ["1.2.3", "2.25.", "2.25.x", f"2.25.{2**129}", ""])
def test_what_is_no_uid_of_2_25_is_not_ours(foreign):
    assert not is_own_uid(foreign)


names = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,19}\Z")


@given(names, st.sampled_from(["SEG", "PM", "SC", "SR"]), st.booleans(), st.sampled_from([None, "09:05"]))
def test_a_description_never_exceeds_64_characters_and_never_loses_its_warning(name, kind, review, replaces):
    text = provenance(task(name=name), replaces=replaces).series_description(kind, review)
    assert len(text) <= 64
    assert text.startswith("AI " + name[:6])
    assert f"{kind} - NOT FOR DIAGNOSTIC USE" in text
    assert ("[REVIEW]" in text) == review
    assert ("(replaces 09:05)" in text) == (replaces is not None)


def test_the_usual_description_is_as_the_contract_says():
    assert provenance().series_description("SEG") == "AI liver SEG - NOT FOR DIAGNOSTIC USE"
    assert provenance().series_description("PM", True) == "AI liver [REVIEW] PM - NOT FOR DIAGNOSTIC USE"


@given(names, st.sampled_from(["SEG", "PM"]))
def test_series_numbers_are_stable_and_above_9000(name, kind):
    made = provenance(task(name=name))
    assert 9000 <= made.series_number(kind, "1.2") < 10000
    assert made.series_number(kind, "1.2") == made.series_number(kind, "1.2")
