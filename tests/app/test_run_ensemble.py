"""The graph where a bundle has a checkpoint ensemble: who votes, and what the objects say of it."""

from dataclasses import replace
from datetime import UTC, datetime

import pydicom
import pytest

from app.application import RunContext, run_task
from models.errors import Code, ModelError
from models.method import Method
from operators.task import prompt_task
from tests.app.toy_bundle import toy_bundle
from tests.models.ensemble.folder import ensemble
from tests.operators.synthetic import ROOT, volume

CT = f"{ROOT}.2"
BRIGHT = prompt_task("bright")


@pytest.fixture
def context():
    return RunContext(Method(toy_bundle()), datetime(2026, 3, 1, 11, 30, 5, tzinfo=UTC), "0.1.0")


@pytest.fixture
def with_ensemble(context, tmp_path):
    bundle = replace(context.method.bundle, ensembles=(ensemble(tmp_path / "ensemble"),))
    return replace(context, method=Method(bundle))


def test_the_checkpoints_of_an_ensemble_vote_on_the_prompt_that_they_were_trained_for(
    tmp_path, with_ensemble
):
    volume(tmp_path / "in")
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, BRIGHT, with_ensemble)
    assert outcome.status in ("found", "nothing-found")
    objects = [pydicom.dcmread(file) for file in outcome.files]
    assert all("3 checkpoints of ensemble brights 1.0.0" in one.to_json() for one in objects)


def test_off_and_other_prompts_take_the_methods_own_way_and_the_object_says_so(
    tmp_path, with_ensemble, context
):
    volume(tmp_path / "in")
    off = BRIGHT.model_copy(update={"ensemble": False})
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, off, with_ensemble)
    plain = run_task(tmp_path / "in", tmp_path / "plain", CT, off, context)
    assert outcome.images_found == plain.images_found > 0
    assert all("4 paths of the method" in pydicom.dcmread(file).to_json() for file in outcome.files)


def test_an_ensemble_invents_nothing_where_the_prompt_is_absent(tmp_path, with_ensemble):
    volume(tmp_path / "in")
    outcome = run_task(
        tmp_path / "in", tmp_path / "out", CT, prompt_task("sitting on a chair"), with_ensemble
    )
    assert (outcome.status, outcome.code) == ("nothing-found", Code.TARGET_ABSENT)


def test_an_ensemble_that_lost_a_member_fails_and_does_not_vote_with_the_rest(tmp_path, with_ensemble):
    volume(tmp_path / "in")
    with_ensemble.method.bundle.ensembles[0].members[0].path.unlink()
    with pytest.raises(ModelError) as error:
        run_task(tmp_path / "in", tmp_path / "out", CT, BRIGHT, with_ensemble)
    assert error.value.code is Code.MODEL_MISSING
    assert not list((tmp_path / "out").glob("*.dcm"))


def test_a_vote_that_may_end_early_says_how_many_were_asked_and_has_the_same_uid_again(
    tmp_path, with_ensemble
):
    volume(tmp_path / "in")
    early = BRIGHT.model_copy(
        update={"settings": {"ensemble": {"converged": 1.0, "at_least": 2}}, "outputs": ("seg", "pm", "sr")}
    )
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, early, with_ensemble)
    texts = [pydicom.dcmread(file).to_json() for file in outcome.files]
    assert len(texts) == 3
    for text in texts:
        assert "at most 3 checkpoints of ensemble brights" in text
        assert r"members_asked\": {\"bright\": \"2 to 2\"}" in text
    again = run_task(tmp_path / "in", tmp_path / "again", CT, early, with_ensemble)
    assert [file.read_bytes() for file in again.files] == [file.read_bytes() for file in outcome.files]
    all_of_them = run_task(tmp_path / "in", tmp_path / "all", CT, BRIGHT, with_ensemble)
    assert not set(all_of_them.sop_instance_uids) & set(outcome.sop_instance_uids)
    assert not any("members_asked" in pydicom.dcmread(file).to_json() for file in all_of_them.files)


def test_the_precision_that_was_computed_with_is_in_every_object(tmp_path, with_ensemble, monkeypatch):
    volume(tmp_path / "in")
    asked = BRIGHT.model_copy(update={"settings": {"ensemble": {"precision": "bf16"}}})
    for able, precision in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr("models.method.computes_bfloat16", lambda _, able=able: able)
        outcome = run_task(tmp_path / "in", tmp_path / precision, CT, asked, with_ensemble)
        texts = [pydicom.dcmread(file).to_json() for file in outcome.files]
        assert texts
        assert all(rf"precision\": \"{precision}\"" in text for text in texts)
