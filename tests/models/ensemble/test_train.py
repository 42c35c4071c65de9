"""Training through nnU-Net's own API, on discs; what was killed goes on as if it had not been."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import models.ensemble.vote
from models.ensemble.export import Purpose, export
from models.ensemble.nnunet.cyclic_trainer import STATE
from models.ensemble.plan import network_of
from models.ensemble.record import read_record
from models.ensemble.train import prepare, train
from models.errors import Code, DatasetError, ModelError
from models.evaluation import files
from tests.models.ensemble.small import RECIPE, SIZE, discs

pytestmark = pytest.mark.slow

GO_ON = """
import sys
from pathlib import Path
from models.ensemble.train import train
from tests.models.ensemble.small import RECIPE, SIZE

def report(epoch, loss, dice):
    print(epoch, file=sys.stderr, flush=True)


train(Path(sys.argv[1]), SIZE, RECIPE, "cpu", report)
"""


def nobody(epoch: int, loss: float, dice: float) -> None:
    """Whom nobody tells anything."""


def forking():
    raise AssertionError("a process with threads was forked: the child can wait for ever")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Return a prepared data set. nnU-Net may start processes for it, but never fork this one."""
    work = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fork", forking)
        assert prepare(discs(), work, RECIPE, SIZE, None) == (SIZE, RECIPE)
    return work


@pytest.fixture
def work(prepared, tmp_path):
    return shutil.copytree(prepared, tmp_path / "work")


@pytest.fixture(scope="module")
def whole(prepared, tmp_path_factory):
    """Return a training that nobody interrupted."""
    work = shutil.copytree(prepared, tmp_path_factory.mktemp("whole") / "work")
    return train(work, SIZE, RECIPE, "cpu", nobody)


def members(trained):
    return {path.name: load_file(path) for path in sorted((trained.folder / "members").iterdir())}


def assert_same(one, other):
    """Equal to the last digits of half precision: a processor need not round the same sum alike twice."""
    assert one.keys() == other.keys()
    for name, tensors in one.items():
        for key, value in tensors.items():
            torch.testing.assert_close(value.float(), other[name][key].float(), rtol=2e-3, atol=5e-4)


def test_the_end_of_every_cycle_leaves_a_member_without_optimizer_in_half_precision(whole):
    kept = members(whole)
    network = network_of(whole.plans)
    assert list(kept) == ["epoch_0002.safetensors", "epoch_0004.safetensors", "epoch_0006.safetensors"]
    for tensors in kept.values():
        assert tensors.keys() == dict(network.named_parameters()).keys()
        assert {str(value.dtype) for value in tensors.values()} == {"torch.float16"}
    assert (whole.folder / "progress.png").stat().st_size > 10_000


def test_an_interrupted_training_goes_on_to_the_same_members(work, whole):
    def stop(epoch: int, loss: float, dice: float) -> None:
        if epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(work, SIZE, RECIPE, "cpu", stop)
    seen = []
    resumed = train(work, SIZE, RECIPE, "cpu", lambda epoch, loss, dice: seen.append(epoch))
    assert seen == [4, 5, 6]
    assert_same(members(resumed), members(whole))


@pytest.mark.faults
def test_a_training_killed_at_a_random_moment_goes_on_to_the_same_members(work, whole):
    process = subprocess.Popen(
        [sys.executable, "-c", GO_ON, str(work)],
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.strip() == b"1":
            break
    time.sleep(random.uniform(0.0, 1.0))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (next(work.rglob(STATE))).is_file()
    assert_same(members(train(work, SIZE, RECIPE, "cpu", nobody)), members(whole))


def test_a_full_disk_ends_with_its_code_and_loses_nothing(work, whole, monkeypatch):
    real, calls = files.replace_bytes, []

    def full(path, content):
        calls.append(path)
        if len(calls) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, content)

    monkeypatch.setattr("models.ensemble.nnunet.cyclic_trainer.replace_bytes", full)
    sys.modules.pop("cyclic_trainer", None)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(files, "replace_bytes", full)
        patched.setattr("models.ensemble.members.replace_bytes", full)
        with pytest.raises(ModelError) as error:
            train(work, SIZE, RECIPE, "cpu", nobody)
    assert error.value.code is Code.STORAGE_FULL
    assert "make room" in error.value.message
    assert not list(work.rglob("*.part"))
    monkeypatch.undo()
    assert_same(members(train(work, SIZE, RECIPE, "cpu", nobody)), members(whole))


def test_other_labels_or_options_do_not_go_on_in_the_same_folder(work):
    with pytest.raises(DatasetError) as error:
        prepare(discs(11), work, RECIPE, SIZE, None)
    assert error.value.code is Code.RUN_MISMATCH
    with pytest.raises(DatasetError):
        prepare(discs(), work, replace(RECIPE, seed=1), SIZE, None)


def test_labels_that_could_calibrate_nothing_are_refused_before_hours_of_training(whole, tmp_path):
    (held,) = whole.held
    labelled = [
        replace(item, mask=np.zeros_like(item.mask)) if item.name == held else item for item in discs()
    ]
    with pytest.raises(DatasetError, match="none of the 1 images held back") as error:
        prepare(labelled, tmp_path / "work", RECIPE, SIZE, None)
    assert error.value.code is Code.DATASET_INVALID


def test_a_budget_sets_how_many_batches_an_epoch_has(prepared, tmp_path):
    size, recipe = prepare(discs(), tmp_path, RECIPE, SIZE, 6.0)
    assert size == SIZE
    assert recipe.iterations >= 1
    assert prepare(discs(), tmp_path, RECIPE, SIZE, 6.0) == (size, recipe)


def test_a_finished_training_becomes_a_folder_that_says_what_it_is(whole, tmp_path):
    purpose = Purpose("discs", ("a disc",), "pseudo", "medclip-sam-v2", {"bundle": "toy"})
    record = export(whole, discs(), purpose, tmp_path / "out", "cpu")
    assert record == read_record(tmp_path / "out")
    assert [member.epoch for member in record.members] == [2, 4, 6]
    assert record.answers(["a disc"], "medclip-sam-v2")
    assert not record.answers(["a disc", "a ring"], "medclip-sam-v2")
    assert not record.answers(["a disc"], "salip")
    assert not record.answers([], "medclip-sam-v2")
    assert 0.1 < record.temperature < 10.0
    assert (tmp_path / "out" / "learning-curve.png").is_file()
    names = (tmp_path / "out" / "trained-on.csv").read_text().splitlines()
    assert len(names) == 1 + len(discs())
    assert sum(line.endswith("held-back") for line in names) == len(whole.held) == 1


def test_what_was_held_back_is_judged_on_the_device_that_trained(whole, tmp_path, monkeypatch):
    asked = []

    def predict(*given, device, **more):
        asked.append(device)
        return on_cpu(*given, device="cpu", **more)

    on_cpu = models.ensemble.vote.predict
    monkeypatch.setattr("models.ensemble.vote.predict", predict)
    purpose = Purpose("discs", ("a disc",), "truth", None, {})
    export(whole, discs(), purpose, tmp_path / "out", "cuda")
    assert asked == ["cuda"]
