"""The searches: reproducible, recorded, and never on what is evaluated."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.errors import Code, ConfigError, DatasetError
from models.labelled import Identity, Labelled, identity
from models.presets import preset
from models.salip.salip import segment
from models.salip.search import (
    SPACE,
    Journal,
    Models,
    drawn,
    grid,
    read_trials,
    search_by_margin,
    search_with_labels,
)
from models.salip.settings import SalipSettings
from tests.models.salip.stubs import (
    RED,
    ColourEncoder,
    ListedSegmenter,
    rectangle,
    region,
)

SIZE = (20, 20)
BASE = SalipSettings(margin=0.0)
TARGET, ALL = (2, 2, 8, 18), (0, 0, 20, 20)


def image(seed: int) -> np.ndarray:
    """Pure red on the target, reddish everywhere else."""
    pixels = np.random.default_rng(seed).integers(60, 90, (*SIZE, 3), dtype=np.uint8)
    pixels[rectangle(SIZE, TARGET)] = (220, 40, 40)
    return pixels


def tuning() -> tuple[Labelled, ...]:
    return tuple(Labelled(f"t{seed}", image(seed), rectangle(SIZE, TARGET)) for seed in range(3))


def models() -> Models:
    small, whole = region(rectangle(SIZE, (12, 2, 18, 18))), region(rectangle(SIZE, ALL))
    return Models(ListedSegmenter((small, region(rectangle(SIZE, TARGET)), whole)), ColourEncoder())


AREAS = {"area": ((0.0, 0.2), (0.3, 1.1), (0.0, 0.61))}
"""Nothing but specks, nothing but the whole image, and what holds the target."""


def test_a_grid_holds_every_combination_and_leaves_the_rest_alone() -> None:
    points = grid(BASE, {"k": (1, 2), "everything.points_per_side": (4, 8)})
    found = {(one.k, one.everything.points_per_side) for one in points}
    assert found == {(1, 4), (1, 8), (2, 4), (2, 8)}
    assert {one.crop for one in points} == {"crop"}


def test_a_draw_follows_its_seed_and_repeats_no_point() -> None:
    """The paper's released search seeds itself from the clock."""
    assert drawn(BASE, SPACE, 5, seed=1) == drawn(BASE, SPACE, 5, seed=1)
    assert drawn(BASE, SPACE, 5, seed=1) != drawn(BASE, SPACE, 5, seed=2)
    assert len(set(drawn(BASE, SPACE, 100, seed=3))) == 100
    assert set(drawn(BASE, AREAS, 10, seed=0)) == set(grid(BASE, AREAS))


@pytest.mark.parametrize("space", [{"no_such": (1,)}, {"everything.no_such": (1,)}, {"k": ()}])
def test_a_space_of_unknown_or_empty_settings_is_refused(space: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ConfigError, match="not a setting"):
        grid(BASE, space)


def test_the_labels_find_the_settings_that_find_the_target() -> None:
    found = search_with_labels(grid(BASE, AREAS), tuning(), [], models(), RED)
    assert found.best.settings.area == (0.0, 0.61)
    assert found.best.mean == pytest.approx(1.0)
    assert [trial.mean for trial in found.trials] == pytest.approx([0.0, 96 * 2 / (400 + 96), 1.0])


def test_the_best_score_is_reproducible_from_the_recorded_settings() -> None:
    found = search_with_labels(grid(BASE, AREAS), tuning(), [], models(), RED)
    masks = [segment(*vars(models()).values(), one.image, RED, found.best.settings) for one in tuning()]
    assert all((mask == rectangle(SIZE, TARGET)).all() for mask in masks)
    assert found == search_with_labels(grid(BASE, AREAS), tuning(), [], models(), RED)


def test_an_image_that_is_evaluated_is_never_tuned_on_whatever_its_name() -> None:
    """The paper's released search draws its five images from the set that it then reports on."""
    with pytest.raises(DatasetError, match="other"):
        search_with_labels(grid(BASE, AREAS), tuning(), [identity("other", image(1))], models(), RED)


def test_a_patient_who_is_evaluated_is_never_tuned_on() -> None:
    mine = [Labelled("a", image(0), rectangle(SIZE, TARGET), patient="P1")]
    with pytest.raises(DatasetError, match="patient"):
        search_with_labels(grid(BASE, AREAS), mine, [Identity("b", "0" * 64, "P1")], models(), RED)
    apart = [Identity("a", "0" * 64, "P2"), identity("t9", image(9))]
    assert search_with_labels(grid(BASE, AREAS), mine, apart, models(), RED).names == ("a",)


def test_a_tuning_image_must_show_the_target() -> None:
    empty = [Labelled("empty", image(0), np.zeros(SIZE, bool))]
    with pytest.raises(ConfigError, match="empty"):
        search_with_labels(grid(BASE, AREAS), empty, [], models(), RED)


def test_nothing_to_search_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        search_with_labels((), tuning(), [], models(), RED)
    with pytest.raises(ConfigError, match="at least one"):
        search_by_margin(grid(BASE, AREAS), {}, models(), RED)


def test_without_labels_the_clearest_choice_wins_and_no_choice_counts_nothing() -> None:
    images = {f"t{seed}": image(seed) for seed in range(3)}
    found = search_by_margin(grid(BASE, AREAS), images, models(), RED)
    assert found.judged_by == "margin"
    assert found.best.settings.area == (0.0, 0.61)
    assert found.trials[0].mean == 0.0
    assert found.best.mean > 1.0


def test_a_margin_below_the_threshold_still_counts_in_a_search() -> None:
    images = {"t": image(0)}
    lenient = search_by_margin([BASE], images, models(), RED)
    strict = search_by_margin([SalipSettings(margin=99.0)], images, models(), RED)
    assert strict.best.scores == lenient.best.scores


def test_candidates_that_differ_only_after_it_share_segmenting_everything() -> None:
    shared = models()
    search_with_labels(grid(BASE, AREAS), tuning(), [], shared, RED)
    assert len(shared.segmenter.asked) == len(tuning())


def test_the_record_says_what_was_tried_on_what(tmp_path: Path) -> None:
    found = search_with_labels(grid(BASE, AREAS), tuning(), [], models(), RED)
    found.write(tmp_path / "search.json", {"prompts": ["red"]})
    record = json.loads((tmp_path / "search.json").read_text())
    assert record["uses_labels"] is True
    assert record["images"] == ["t0", "t1", "t2"]
    assert record["trials"][record["best"]]["mean"] == found.best.mean
    assert record["trials"][0]["settings"]["area"] == [0.0, 0.2]
    assert record["trials"][0]["settings"]["everything"]["points_per_side"] == 32
    assert record["prompts"] == ["red"]


def test_what_was_found_is_a_setting_of_the_method_again(tmp_path: Path) -> None:
    found = search_with_labels(drawn(BASE, SPACE, 2, seed=0), tuning(), [], models(), RED)
    taken = preset("salip", "recommended", None, found.record()["settings"]).salip
    assert replace(taken, margin=BASE.margin) == found.best.settings


def test_an_interrupted_search_goes_on_where_it_stopped_and_finds_the_same(tmp_path: Path) -> None:
    path, facts = tmp_path / "search.json", {"prompts": ["red"]}
    candidates = drawn(BASE, SPACE, 4, seed=0)
    whole = search_with_labels(candidates, tuning(), [], models(), RED)
    search_with_labels(candidates[:3], tuning(), [], models(), RED).write(path, facts)

    again, told = models(), []
    journal = Journal(read_trials(path, facts), told.extend)
    resumed = search_with_labels(candidates, tuning(), [], again, RED, journal)

    assert resumed == whole
    assert told == [whole.trials[3]]
    assert len(again.segmenter.asked) == len(tuning())


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"prompts": ["blue"]}', '{"prompts": ["red"]}'])
def test_a_file_of_another_search_is_left_alone(content: str, tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    path.write_text(content)
    with pytest.raises(DatasetError, match=r"search\.json") as caught:
        read_trials(path, {"prompts": ["red"]})
    assert caught.value.code is Code.RUN_MISMATCH
    assert path.read_text() == content
