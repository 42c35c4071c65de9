"""Seeded variants of training images: zooms hold what they are to teach."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.align.features import FRAMED, ZOOMED, extract, load, origin_of, variants, vary
from models.align.sample import Sample
from models.bundles.bundle import verify
from models.device import computes_bfloat16

ORIGIN = "breast_ultrasound"


def sample(y: int, x: int, side: int) -> Sample:
    mask = np.zeros((120, 160), dtype=bool)
    mask[y : y + side, x : x + side] = True
    image = np.full((120, 160, 3), 90, np.uint8)
    return Sample(ORIGIN, f"{y}-{x}-{side}", image, 1, {"breast-mass": mask})


@settings(max_examples=30, deadline=None)
@given(
    y=st.integers(0, 80),
    x=st.integers(0, 120),
    side=st.integers(3, 40),
    zoom=st.integers(1, ZOOMED[ORIGIN]),
)
def test_a_zoom_holds_the_whole_region_and_shows_it_larger(y: int, x: int, side: int, zoom: int) -> None:
    original = sample(y, x, side)
    zoomed = vary(original, FRAMED[ORIGIN] + zoom)
    region = zoomed.regions["breast-mass"]
    assert region.sum() == side * side
    assert region.shape == zoomed.image.shape[:2]
    assert region.mean() > 2 * original.regions["breast-mass"].mean()


def test_a_zoom_of_an_image_without_a_region_is_a_part_of_it() -> None:
    empty = Sample(ORIGIN, "empty", np.zeros((100, 200, 3), np.uint8), 1)
    zoomed = vary(empty, FRAMED[ORIGIN] + 1)
    assert zoomed.image.shape[0] < 70
    assert zoomed.image.shape[1] < 140
    assert zoomed.regions == {}


def test_a_variant_is_the_same_every_time() -> None:
    first, second = (vary(sample(20, 30, 12), 5) for _ in range(2))
    assert np.array_equal(first.image, second.image)


@pytest.mark.parametrize("origin", ["breast_ultrasound", "brain_mr"])
def test_zoomed_variants_are_drawn_under_their_own_name(origin: str) -> None:
    names = [origin_of(origin, variant) for variant in variants(origin)]
    assert names == [origin] * (FRAMED[origin] + 1) + [f"{origin}_zoomed"] * ZOOMED[origin]


def test_a_set_without_variants_has_the_image_alone() -> None:
    assert list(variants("chest_xray")) == [0]
    assert origin_of("chest_xray", 0) == "chest_xray"


@pytest.mark.slow
@pytest.mark.skipif(not computes_bfloat16("cpu"), reason="this processor has no bfloat16")
def test_rounded_features_are_off_by_less_than_the_noise_of_training(tmp_path) -> None:
    image = sample(20, 30, 12)
    image = Sample("chest_xray", "one", vary(image, 1).image, 1)
    state = torch.load(verify("lite")["segmenter"], map_location="cpu", weights_only=True)
    pyramids, told = [], []
    for bf16 in (False, True):
        extract([image], state, tmp_path / str(bf16), 1, bf16, lambda *counts: told.append(counts))
        (features,) = load([image], tmp_path / str(bf16))
        pyramids.append(features.pyramid.float())
    assert told == [(1, 1), (1, 1)]
    exact, rounded = pyramids
    assert 1e-4 < (exact - rounded).norm() / exact.norm() < 0.1
