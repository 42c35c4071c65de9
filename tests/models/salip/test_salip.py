"""SaLIP from an image to a mask, with a stub SAM and a stub CLIP."""

from dataclasses import replace

import numpy as np
import pytest

from models.errors import Code
from models.salip.salip import finish, paint, propose, second_pass, segment
from models.salip.settings import SalipSettings
from models.segmenters.everything import EverythingSettings, Region
from tests.models.salip.stubs import (
    RED,
    ColourEncoder,
    ListedSegmenter,
    rectangle,
    region,
)

SIZE = (40, 60)
LEFT, RIGHT, GREEN = (5, 5, 15, 35), (40, 5, 52, 35), (20, 10, 30, 20)
SETTINGS = SalipSettings(k=2)


def image() -> np.ndarray:
    """Two red places, the left one purer, and a green one."""
    pixels = np.full((*SIZE, 3), 40, np.uint8)
    for box, colour in ((LEFT, (200, 10, 0)), (RIGHT, (200, 60, 0)), (GREEN, (0, 200, 0))):
        pixels[rectangle(SIZE, box)] = colour
    return pixels


def proposed(*boxes: tuple[int, int, int, int]) -> tuple[Region, ...]:
    return tuple(region(rectangle(SIZE, box)) for box in boxes)


def sam(*boxes: tuple[int, int, int, int], inset: int = 0) -> ListedSegmenter:
    return ListedSegmenter(proposed(*boxes), inset)


def test_the_regions_that_the_text_names_are_chosen_and_refined_by_boxes() -> None:
    segmenter = sam((0, 0, 60, 40), GREEN, RIGHT, LEFT, inset=1)
    mask = segment(segmenter, ColourEncoder(), image(), RED, SETTINGS)
    assert isinstance(mask, np.ndarray)
    assert segmenter.boxes == [LEFT, RIGHT]
    assert (mask == (rectangle(SIZE, (6, 6, 14, 34)) | rectangle(SIZE, (41, 6, 51, 34)))).all()


def test_every_target_is_segmented_not_only_lungs() -> None:
    """The paper's released 2-D path enumerates an integer wherever k is 1, and crashes."""
    mask = segment(sam(GREEN, LEFT), ColourEncoder(), image(), RED, replace(SETTINGS, k=1))
    assert isinstance(mask, np.ndarray)
    assert (mask == rectangle(SIZE, LEFT)).all()


def test_regions_and_scores_keep_step_when_some_are_filtered_out() -> None:
    """In the paper's released code skipped crops shift the indices of the scores against the masks."""
    found = propose(sam((0, 0, 60, 40), LEFT, (0, 0, 59, 40), GREEN), ColourEncoder(), image(), RED, SETTINGS)
    assert [one.box for one in found.regions] == [LEFT, GREEN]
    assert found.scores[0] > 99 > found.scores[1]


def test_the_settings_reach_the_segmenter() -> None:
    everything = EverythingSettings(points_per_side=7)
    segmenter = sam(LEFT, RIGHT)
    propose(segmenter, ColourEncoder(), image(), RED, replace(SETTINGS, everything=everything))
    assert segmenter.asked == [everything]


def test_the_encoder_sees_the_variant_that_was_asked_for() -> None:
    encoder = ColourEncoder()
    propose(sam(LEFT), encoder, image(), RED, replace(SETTINGS, k=1, crop="box"))
    assert [picture.shape for picture in encoder.seen] == [(60, 60, 3)]


@pytest.mark.parametrize(
    ("boxes", "changes", "code"),
    [
        ((), {}, Code.NO_REGION),
        (((0, 0, 60, 40),), {}, Code.NO_REGION),
        ((LEFT,), {}, Code.NO_REGION),
        ((LEFT, (5, 5, 15, 33)), {}, Code.REGIONS_ALIKE),
        ((LEFT, RIGHT, GREEN), {"k": 1, "margin": 50.0}, Code.MARGIN_LOW),
    ],
)
def test_a_failure_ends_as_a_code_and_never_as_a_default_mask(
    boxes: tuple[tuple[int, int, int, int], ...], changes: dict[str, float], code: Code
) -> None:
    """The paper leaves these to future work; its released code crashes on the first two."""
    settings, segmenter = replace(SETTINGS, **changes), sam(*boxes)
    found = propose(segmenter, ColourEncoder(), image(), RED, settings)
    assert (found.chosen, found.code, found.components()) == ((), code, ())
    assert segment(segmenter, ColourEncoder(), image(), RED, settings) == code
    assert segmenter.boxes == []


def test_two_masks_of_one_lung_do_not_hide_the_other_lung() -> None:
    found = propose(sam(LEFT, (5, 5, 15, 33), RIGHT, GREEN), ColourEncoder(), image(), RED, SETTINGS)
    assert [found.regions[index].box for index in found.chosen] == [LEFT, RIGHT]


def test_the_map_paints_each_region_by_its_odds_against_the_best() -> None:
    found = propose(sam(LEFT, RIGHT, GREEN), ColourEncoder(), image(), RED, SETTINGS)
    assert found.map.dtype == np.float32
    assert found.map[20, 10] == 1.0
    assert found.map[20, 45] == pytest.approx(np.exp(found.scores[1] - found.scores[0]), rel=1e-5)
    assert 0.0 <= found.map[15, 25] < found.map[20, 45] < 1.0
    assert found.map[0, 0] == 0.0


def test_where_regions_overlap_the_map_shows_the_higher_in_either_order() -> None:
    regions = proposed((0, 0, 20, 20), (10, 0, 30, 20))
    scores = np.array([25.0, 24.0], np.float32)
    painted = paint(regions, scores)
    assert (painted == paint(regions[::-1], scores[::-1])).all()
    assert (painted[:20, :20] == 1.0).all()


def test_components_carry_mask_box_and_odds() -> None:
    found = propose(sam(RIGHT, LEFT), ColourEncoder(), image(), RED, SETTINGS)
    first, second = found.components()
    assert (first.box, second.box) == (LEFT, RIGHT)
    assert first.confidence == 1.0 > second.confidence
    assert (first.mask == rectangle(SIZE, LEFT)).all()


def test_the_second_pass_is_the_or_of_all_boxes_in_any_order() -> None:
    """The paper's released code joins two masks for one data set and drops the rest for the others."""
    boxes = [(0, 0, 10, 10), (5, 5, 20, 20), (30, 0, 40, 10)]
    expected = np.logical_or.reduce([rectangle(SIZE, box) for box in boxes])
    for order in (boxes, boxes[::-1], boxes * 2):
        assert (second_pass(sam(), image(), order) == expected).all()


def test_without_a_second_pass_the_regions_are_the_answer() -> None:
    segmenter = sam(LEFT, RIGHT, inset=2)
    mask = segment(segmenter, ColourEncoder(), image(), RED, replace(SETTINGS, second_pass=False))
    assert isinstance(mask, np.ndarray)
    assert (mask == (rectangle(SIZE, LEFT) | rectangle(SIZE, RIGHT))).all()
    assert segmenter.boxes == []


def test_an_empty_second_answer_is_a_code() -> None:
    segmenter = sam(LEFT, inset=30)
    found = propose(segmenter, ColourEncoder(), image(), RED, replace(SETTINGS, k=1))
    assert finish(segmenter, image(), found, second=True) == Code.NO_MASK


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one region"):
        SalipSettings(k=0)
    with pytest.raises(ValueError, match="fractions"):
        SalipSettings(area=(0.5, 0.1))
