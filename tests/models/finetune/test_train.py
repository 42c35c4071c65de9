"""Fine-tuning on made-up pairs: it learns, it is the same each time, and a death changes nothing."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from models.errors import Code, DatasetError
from models.finetune import checkpoint, train
from models.finetune.compare import UNTRAINED, compare, interval
from models.finetune.recipe import COMPARED, PAPER, PROJECTION, Recipe
from models.finetune.train import CHECKPOINTS, RECIPE, Listener, batches, fine_tune, rate
from tests.models.finetune.toy import Killed, ToyModel, coloured, killing

FAST = replace(PROJECTION, epochs=3, batch=6, rate=1e-2)


@pytest.fixture(scope="module")
def captions(tmp_path_factory):
    return coloured(tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="module")
def uninterrupted(captions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    model = ToyModel()
    outcome = fine_tune(model, captions, FAST, folder)
    return model.state(), load_file(outcome.weights), outcome


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("loss", COMPARED)
def test_every_loss_learns_which_caption_belongs_to_which_image(captions, tmp_path, loss):
    outcome = fine_tune(
        ToyModel(),
        captions,
        replace(FAST, loss=loss, epochs=20, batch=24, rate=5e-2, judge_every=10),
        tmp_path,
    )
    assert outcome.best.score >= 0.5
    assert outcome.best.score > outcome.epochs[0].score
    assert outcome.epochs[-1].loss < outcome.epochs[1].loss


def test_the_kept_weights_are_those_of_the_best_epoch_and_say_where_they_come_from(captions, tmp_path):
    outcome = fine_tune(ToyModel(), captions, replace(FAST, rate=1e-1, epochs=4), tmp_path)
    assert outcome.best.score == max(epoch.score for epoch in outcome.epochs)
    with safe_open(outcome.weights, "pt") as file:
        said = file.metadata()
    assert json.loads(said["recipe"])["rate"] == 1e-1
    assert said["epoch"] == str(outcome.best.epoch)
    restored = ToyModel()
    restored.restore(load_file(outcome.weights))
    rows = train.embed(restored, outcome.split.held_out, 6)
    found = train.retrieve(*rows, [pair.caption for pair in outcome.split.held_out])
    assert found.score == outcome.best.score


def test_a_model_that_only_gets_worse_keeps_its_starting_weights(captions, tmp_path):
    model = ToyModel()
    fine_tune(
        model, captions, replace(FAST, epochs=20, batch=24, rate=5e-2, judge_every=10), tmp_path / "good"
    )
    good = ToyModel()
    good.restore(load_file(tmp_path / "good" / "best.safetensors"))
    before = good.state()
    harmful = replace(FAST, rate=10.0, epochs=2, clip=None, seed=FAST.seed)
    outcome = fine_tune(good, captions, harmful, tmp_path / "bad")
    assert outcome.best.epoch == 0
    assert equal(load_file(outcome.weights), before)


def test_the_recipe_the_cleaning_and_the_counts_are_recorded(uninterrupted):
    _, _, outcome = uninterrupted
    said = json.loads((outcome.weights.parent / RECIPE).read_text())
    assert said["recipe"] == json.loads(json.dumps(FAST.record()))
    assert said["cleaning"]["shortest"] == 20
    assert said["pairs"]["train"] + said["pairs"]["held out"] == 24
    assert len(said["epochs"]) == FAST.epochs + 1


def test_the_same_run_gives_the_same_weights_whatever_was_drawn_before(captions, uninterrupted, tmp_path):
    torch.manual_seed(4711)
    model = ToyModel()
    fine_tune(model, captions, FAST, tmp_path)
    assert equal(model.state(), uninterrupted[0])


@pytest.mark.parametrize("step", range(1, 3 * 3 + 1))
@pytest.mark.parametrize("save_every", [2, 200])
def test_a_run_killed_at_any_step_and_resumed_gives_the_same_weights(
    captions, uninterrupted, tmp_path, step, save_every
):
    with pytest.raises(Killed):
        fine_tune(
            ToyModel(), captions, FAST, tmp_path, Listener(stepped=killing(step)), save_every=save_every
        )
    torch.manual_seed(step)
    model = ToyModel()
    outcome = fine_tune(model, captions, FAST, tmp_path, resume=True, save_every=save_every)
    last, best, whole = uninterrupted
    assert equal(model.state(), last)
    assert equal(load_file(outcome.weights), best)
    assert outcome.epochs == whole.epochs


@pytest.mark.parametrize("write", [1, 2, 3, 5, 7])
def test_a_death_while_a_checkpoint_is_written_leaves_the_one_before(
    captions, uninterrupted, tmp_path, monkeypatch, write
):
    seen = []

    def dying(path, content):
        if path.name == "progress.json":
            seen.append(path)
            if len(seen) == write:
                raise Killed
        original(path, content)

    original = checkpoint.write_json
    monkeypatch.setattr(checkpoint, "write_json", dying)
    with pytest.raises(Killed):
        fine_tune(ToyModel(), captions, FAST, tmp_path, save_every=1)
    monkeypatch.undo()
    model = ToyModel()
    fine_tune(model, captions, FAST, tmp_path, resume=True, save_every=1)
    assert equal(model.state(), uninterrupted[0])


def test_only_the_newest_checkpoint_is_kept(uninterrupted):
    _, _, outcome = uninterrupted
    assert len(list((outcome.weights.parent / CHECKPOINTS).iterdir())) == 1


def test_resuming_a_finished_run_trains_nothing(captions, uninterrupted):
    steps = []
    folder = uninterrupted[2].weights.parent
    listener = Listener(stepped=lambda done, total, loss: steps.append(done))
    outcome = fine_tune(ToyModel(), captions, FAST, folder, listener, resume=True)
    assert steps == []
    assert outcome.epochs == uninterrupted[2].epochs


def mismatch(model, captions, recipe, folder, resume=True):
    with pytest.raises(DatasetError) as caught:
        fine_tune(model, captions, recipe, folder, resume=resume)
    assert caught.value.code is Code.RUN_MISMATCH
    return caught.value.message


def test_a_run_with_another_recipe_data_or_start_is_not_resumed(captions, uninterrupted):
    folder = uninterrupted[2].weights.parent
    assert "another recipe" in mismatch(ToyModel(), captions, replace(FAST, rate=1e-4), folder)
    fewer = replace(captions, pairs=captions.pairs[1:])
    assert "another data" in mismatch(ToyModel(), fewer, FAST, folder)
    assert "another starting weights" in mismatch(ToyModel(1), captions, FAST, folder)


def test_a_folder_that_holds_a_run_is_not_overwritten_without_being_asked(captions, uninterrupted):
    message = mismatch(ToyModel(), captions, FAST, uninterrupted[2].weights.parent, resume=False)
    assert "--resume" in message


def test_progress_is_told_in_order(captions, tmp_path):
    prepared, stepped = [], []
    listener = Listener(lambda *told: prepared.append(told), lambda *told: stepped.append(told[:2]))
    fine_tune(ToyModel(), captions, replace(FAST, epochs=1), tmp_path, listener)
    assert prepared == [(24, 24)]
    assert stepped == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_mixed_precision_trains_and_the_loss_stays_in_float32(captions, tmp_path):
    outcome = fine_tune(ToyModel(), captions, replace(FAST, precision="bfloat16"), tmp_path)
    assert all(values.dtype is torch.float32 for values in load_file(outcome.weights).values())
    assert outcome.epochs[-1].loss < outcome.epochs[1].loss


def test_an_epoch_has_every_pair_once_and_no_batch_of_one():
    parts = batches(13, Recipe(batch=4), 1)
    assert [len(part) for part in parts] == [4, 4, 4]
    assert len({index for part in parts for index in part}) == 12
    assert batches(13, Recipe(batch=4), 1) == parts != batches(13, Recipe(batch=4), 2)


def test_the_rate_rises_then_falls_along_a_cosine():
    recipe = Recipe(rate=1.0, warm_up=0.1)
    values = [rate(recipe, step, 100) for step in range(100)]
    assert values[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert values[10] == 1.0
    assert values[10:] == sorted(values[10:], reverse=True)
    assert values[-1] < 0.001
    assert {rate(PAPER, step, 100) for step in range(100)} == {1e-6}


def test_the_paper_preset_says_what_the_paper_prints():
    said = PAPER.record()
    assert (said["rate"], said["batch"], said["tau"], said["held_out"]) == (1e-6, 64, 0.6, 0.15)
    assert (said["loss"], said["beta"], said["reduction"]) == ("dhn-nce", (0.15, 0.15), "sum")


def test_equal_captions_are_no_negatives_where_the_recipe_says_so():
    image, text = torch.eye(3), torch.eye(3)
    same = torch.eye(3, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    for loss in COMPARED:
        masked, plain = (
            Recipe(loss=loss, mask_equal=mask).loss_of(image, text, same) for mask in (True, False)
        )
        assert masked < plain


@pytest.mark.parametrize("wrong", [{"batch": 1}, {"epochs": 0}])
def test_a_recipe_that_cannot_train_is_refused(wrong):
    with pytest.raises(ValueError, match="batches of at least 2"):
        Recipe(**wrong)


def test_the_losses_are_compared_from_the_same_start_on_the_same_batches(captions, tmp_path):
    told = []

    def listener(loss, seed):
        told.append((seed, loss))
        return Listener()

    rows = compare(ToyModel, captions, FAST, 2, tmp_path, listener)
    assert [row.loss for row in rows] == [UNTRAINED, *COMPARED]
    assert told == [(seed, loss) for seed in range(2) for loss in COMPARED]
    assert all(value.mean == 0.0 for value in rows[1].difference.values())
    assert rows[0].strict == rows[0].tolerant
    again = compare(ToyModel, captions, FAST, 2, tmp_path, listener, resume=True)
    assert again == rows


def test_intervals_by_hand():
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.ci95 == pytest.approx((2.0 - 4.302653 / 3**0.5, 2.0 + 4.302653 / 3**0.5), abs=1e-5)
    assert interval([5.0]).ci95 is None
