"""Weak supervision on real images, small: one held-out image of each kind, trainings of six epochs."""

import json
from pathlib import Path

import pytest

from app.align import task_prompts
from app.config import load_config
from models.align import weak
from models.align.heads import Heads
from models.align.weak import BOUND, ENSEMBLE, RESIDUAL, ROWS, SINGLE, ZERO_SHOT, Plan, compare
from models.ensemble.plan import Size
from models.ensemble.record import read_record
from models.ensemble.schedule import Cycles
from tests.operators.test_shared_data import SHARED

DATA = SHARED.parent
FOLD, ORIGIN = 5, "brain_mr"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here (TEXTSEG_SHARED)"),
]


def no_features():
    raise AssertionError("the head without fold 5 is the shipped one: nothing has to be trained")


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return Plan(
        data=DATA,
        work=tmp_path_factory.mktemp("weak"),
        heads=Heads(Path("nowhere")),
        seconds=1.0,
        prompts=task_prompts(load_config()),
        folds=(FOLD,),
        sets=(ORIGIN,),
        each=1,
        unlabelled=8,
    )


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def results(plan, told):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(weak, "SMALL", Size(32, (4, 8, 8), 2))
        patched.setattr(weak, "CYCLES", Cycles(6, 3, 1))
        patched.setattr(weak, "ONE_CYCLE", Cycles(2, 1, 1))
        without = weak.without_target
        patched.setattr(weak, "without_target", lambda *given: without(*given)[:1])
        return compare(plan, no_features, lambda *said: told.append(said))


def test_every_row_judges_the_same_held_out_images(results):
    assert tuple(results) == ROWS
    names = {row: [one.row.name for one in by_set[ORIGIN]] for row, by_set in results.items()}
    assert len(names[ZERO_SHOT]) == 2
    assert all(of_row == names[ZERO_SHOT] for of_row in names.values())
    assert [one.absent for one in results[BOUND][ORIGIN]] == [False, True]


def test_labels_are_made_for_images_that_nobody_judges(results, plan):
    place = plan.work / f"fold-{FOLD}" / ORIGIN
    labelled = {path.stem for path in (place / "pseudo" / "images").iterdir()}
    assert len(labelled) == plan.unlabelled
    assert labelled.isdisjoint(one.row.name for one in results[ZERO_SHOT][ORIGIN])


def test_only_the_bound_learns_from_masks_and_never_from_those_of_its_fold(results, plan):
    place = plan.work / f"fold-{FOLD}" / ORIGIN
    kinds = {name: read_record(place / name).labels for name in ("residual", "ensemble", "truth")}
    assert kinds == {"residual": "pseudo", "ensemble": "pseudo", "truth": "truth"}
    learnt = {line.split(",")[0] for line in (place / "truth" / "trained-on.csv").read_text().splitlines()}
    held = {item.name for item in weak.held_out(DATA, ORIGIN, FOLD).items}
    assert held
    assert learnt.isdisjoint(held)


def test_one_checkpoint_votes_alone_and_the_ensemble_has_one_of_each_cycle(results, plan):
    place = plan.work / f"fold-{FOLD}" / ORIGIN
    assert len(read_record(place / "residual").members) == 1
    assert len(read_record(place / "ensemble").members) == 3
    last, all_of_them = (results[row][ORIGIN][0].row for row in (SINGLE, ENSEMBLE))
    assert last.uncertainty != all_of_them.uncertainty


def test_what_is_finished_is_not_done_again(results, plan, told, monkeypatch):
    def never(*_):
        raise AssertionError("done already")

    for name in ("label", "prepare", "train", "evaluate"):
        monkeypatch.setattr(weak, name, never if name != "label" else lambda *_: iter(()))
    again = compare(plan, no_features, lambda *_: None)
    assert json.dumps([one.row.dsc for one in again[RESIDUAL][ORIGIN]]) == json.dumps(
        [one.row.dsc for one in results[RESIDUAL][ORIGIN]]
    )
    assert {what for what, *_ in told} >= {f"{ORIGIN}: pseudo-labels", f"{ORIGIN}: ensemble"}
