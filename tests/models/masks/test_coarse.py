"""From a map to the components that are kept, by each of the ways there are."""

from dataclasses import replace

import numpy as np
import pytest

from models.masks.coarse import BINARISE, KEEP, MaskSettings, coarse_mask
from models.masks.crf import CrfSettings

IMAGE = np.full((40, 60, 3), 90, np.uint8)
EVERY_WAY = [MaskSettings(binarise=binarise, keep=keep) for binarise in BINARISE for keep in KEEP]


def blobs() -> np.ndarray:
    """A large faint, a middle strong and a small strong blob on a dim ground."""
    saliency = np.full((40, 60), 0.05, np.float32)
    saliency[4:20, 4:20] = 0.7
    saliency[4:14, 30:40] = 1.0
    saliency[28:32, 40:44] = 0.9
    return saliency


def areas(settings: MaskSettings, saliency: np.ndarray) -> list[int]:
    return [component.area for component in coarse_mask(saliency, IMAGE, settings)]


@pytest.mark.parametrize("binarise", ["otsu", "two-means", "fixed"])
def test_each_rule_keeps_its_own_components(binarise: str) -> None:
    settings = MaskSettings(binarise=binarise)
    assert areas(settings, blobs()) == [256, 100]
    assert areas(replace(settings, confidence=0.8), blobs()) == [100]
    assert areas(replace(settings, keep="confidence", eta=0.8), blobs()) == [100, 16]
    assert areas(replace(settings, keep="area", components=1), blobs()) == [256]
    assert areas(replace(settings, keep="area", components=3), blobs()) == [256, 100, 16]


def test_the_fixed_threshold_is_the_one_that_is_set() -> None:
    settings = MaskSettings(binarise="fixed", threshold=0.8, keep="area", components=9)
    assert areas(settings, blobs()) == [100, 16]


def test_the_crf_sees_the_image() -> None:
    y, x = np.mgrid[:40, :60]
    saliency = np.exp(-((x - 30) ** 2 + (y - 20) ** 2) / 300).astype(np.float32)
    image = IMAGE.copy()
    image[12:28, 22:38] = 180
    settings = MaskSettings(binarise="crf", crf=CrfSettings(iterations=3))
    (found,) = coarse_mask(saliency, image, settings)
    assert found.box == (22.0, 12.0, 38.0, 28.0)


@pytest.mark.parametrize("settings", EVERY_WAY)
@pytest.mark.parametrize("value", [0.0, 0.7, 1.0])
def test_a_constant_map_points_nowhere(settings: MaskSettings, value: float) -> None:
    assert coarse_mask(np.full((40, 60), value, np.float32), IMAGE, settings) == ()


@pytest.mark.parametrize("settings", EVERY_WAY)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_map_that_is_not_finite_is_refused(settings: MaskSettings, bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        coarse_mask(np.full((40, 60), bad, np.float32), IMAGE, settings)


def test_all_foreground_and_all_background_are_no_components() -> None:
    ramp = np.linspace(0.4, 0.6, 2400, dtype=np.float32).reshape(40, 60)
    for threshold in (0.3, 0.7):
        assert coarse_mask(ramp, IMAGE, MaskSettings(binarise="fixed", threshold=threshold)) == ()


def test_differences_below_a_level_are_no_foreground() -> None:
    saliency = np.full((40, 60), 0.5, np.float32)
    saliency[0, 0] += 1e-5
    assert coarse_mask(saliency, IMAGE, MaskSettings()) == ()


@pytest.mark.parametrize("values", [{"binarise": "kmeans"}, {"keep": "all"}])
def test_an_unknown_way_is_refused_by_name(values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="is none of"):
        MaskSettings(**values)
