from dataclasses import replace

import numpy as np
import pytest

import models.ensemble.vote
from models.bundles.bundle import Bundle
from models.ensemble.members import read_member, write_member
from models.ensemble.vote import CheckpointEnsemble
from models.errors import Code, ModelError
from models.method import Method
from models.settings import EnsembleSettings, Settings
from models.stages import Members
from models.uncertainty import entropy
from tests.models.ensemble.folder import PLAN, ensemble
from tests.models.ensemble.nnunet import network_of
from tests.models.toy import BoxSegmenter, ToyEncoder, picture

IMAGE = picture(48, 64, [(16, 16, 40, 40)])


@pytest.fixture
def record(tmp_path):
    return ensemble(tmp_path / "ensemble")


def method(*ensembles, on=True, device="cpu", precision="fp32"):
    bundle = Bundle("toy", "0", "d" * 64, ToyEncoder(), BoxSegmenter(), (), {}, ensembles, device)
    ensemble_settings = EnsembleSettings(vote=on, precision=precision)
    return Method(bundle, Settings(relevance_tokens=0.05, ensemble=ensemble_settings))


def vote(asked, image, prompt):
    saliency = asked.saliency(image, asked.text([prompt]), 0)
    members = asked.refine(image, asked.coarse(image, saliency), 0)
    chosen = asked.ensemble_for([prompt])
    return asked.vote(members) if chosen is None else asked.vote_by(chosen, [image], [members])[0]


def test_maps_lie_on_the_images_own_pixels_and_entropy_is_that_of_the_mean(record):
    images = [IMAGE, picture(33, 21, [(4, 4, 12, 12)])]
    for image, (agreement, members) in zip(images, CheckpointEnsemble(record).predict(images), strict=True):
        assert members == 3
        assert agreement.probability.shape == image.shape[:2]
        assert np.allclose(agreement.entropy, entropy(agreement.probability))
        assert (agreement.mutual_information <= agreement.entropy + 1e-5).all()
        assert (agreement.mutual_information >= 0).all()


def test_a_batch_is_answered_as_its_images_alone(record):
    asked = CheckpointEnsemble(record)
    images = [IMAGE, picture(40, 40, [(4, 4, 12, 12)])]
    for (together, _), image in zip(asked.predict(images), images, strict=True):
        ((alone, _),) = asked.predict([image])
        assert np.array_equal(together.probability, alone.probability)


def test_an_image_without_a_region_is_not_looked_at(record):
    ((agreement, members),) = CheckpointEnsemble(record).predict([IMAGE], regions=[None])
    assert members == 0
    assert not agreement.mutual_information.any()


def test_a_temperature_changes_how_sure_and_not_what(record):
    ((plain, _),) = CheckpointEnsemble(record).predict([IMAGE])
    ((warm, _),) = CheckpointEnsemble(replace(record, temperature=3.0)).predict([IMAGE])
    assert np.array_equal(plain.probability > 0.5, warm.probability > 0.5)
    assert (warm.entropy >= plain.entropy - 1e-5).all()


def test_the_checkpoints_vote_on_the_prompt_that_they_were_trained_for(record):
    assert vote(method(record), IMAGE, "bright").members == 3


@pytest.mark.parametrize("asked", ["bright and round", "dark matter"])
def test_any_other_prompt_takes_the_methods_own_way(record, asked):
    assert method(record).ensemble_for([asked]) is None


def test_a_vote_that_may_end_early_says_how_many_were_asked(tmp_path):
    record = ensemble(tmp_path / "many", members=6)
    early = EnsembleSettings(vote=True, converged=1.0, at_least=2)
    ((_, members),) = CheckpointEnsemble(record).predict([IMAGE], early)
    assert members == 2


def test_members_are_offered_cycle_by_cycle_so_that_an_early_end_has_heard_all(tmp_path, monkeypatch):
    record = ensemble(tmp_path / "cycles", members=6)
    members = tuple(
        replace(one, epoch=epoch) for one, epoch in zip(record.members, (9, 10, 19, 20, 29, 30), strict=True)
    )
    read = []
    monkeypatch.setattr(
        "models.ensemble.vote.read_member", lambda path: read.append(path) or read_member(path)
    )
    early = EnsembleSettings(vote=True, converged=1.0, at_least=3)
    CheckpointEnsemble(replace(record, members=members)).predict([IMAGE], early)
    assert read == [members[index].path for index in (1, 3, 5)]


def test_the_checkpoints_compute_where_the_bundles_other_models_do(record, monkeypatch):
    asked = []

    def predict(*given, device):
        asked.append(device)
        return on_cpu(*given, device="cpu")

    on_cpu = models.ensemble.vote.predict
    monkeypatch.setattr("models.ensemble.vote.predict", predict)
    for device in ("cpu", "cuda"):
        vote(method(record, device=device), IMAGE, "bright")
    assert asked == ["cpu", "cuda"]


@pytest.mark.parametrize(("able", "recorded"), [(True, "bf16"), (False, "fp32")])
def test_bfloat16_is_what_the_record_says_only_where_the_device_computes_it(
    record, monkeypatch, able, recorded
):
    monkeypatch.setattr("models.method.computes_bfloat16", lambda _: able)
    asked = method(record, precision="bf16")
    assert asked.settings.record()["ensemble"]["precision"] == recorded


def test_off_means_off(record):
    assert vote(method(record, on=False), IMAGE, "bright").members == 4


def test_an_absent_target_stays_absent(record):
    """A checkpoint knows its target, not words: it is not asked where the method found nothing."""
    nothing = Members(np.zeros((0, 48, 64), np.float32), Code.TARGET_ABSENT)
    (answer,) = method(record).vote_by(record, [IMAGE], [nothing])
    assert answer.status is Code.TARGET_ABSENT
    assert not answer.mask.any()
    assert answer.members == 0


def test_members_that_mark_no_pixel_leave_nothing_to_vote_about(record):
    faint = Members(np.full((4, 48, 64), 0.4, np.float32))
    (answer,) = method(record).vote_by(record, [IMAGE], [faint])
    assert answer.status is Code.NO_MASK


def test_a_member_that_vanishes_or_changes_after_opening_ends_the_vote(record):
    asked = CheckpointEnsemble(record)
    path = record.members[1].path
    write_member(path, network_of({**PLAN, "configurations": wider()}))
    with pytest.raises(ModelError) as error:
        asked.predict([IMAGE])
    assert error.value.code is Code.MEMBER_INVALID
    path.write_bytes(b"no tensors")
    with pytest.raises(ModelError) as error:
        asked.predict([IMAGE])
    assert error.value.code is Code.MEMBER_INVALID
    path.unlink()
    with pytest.raises(ModelError) as error:
        asked.predict([IMAGE])
    assert error.value.code is Code.MODEL_MISSING


def wider():
    configuration = PLAN["configurations"]["2d"]
    architecture = configuration["architecture"]
    kwargs = {**architecture["arch_kwargs"], "features_per_stage": [4, 12]}
    return {"2d": {**configuration, "architecture": {**architecture, "arch_kwargs": kwargs}}}
