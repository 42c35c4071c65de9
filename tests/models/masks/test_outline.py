"""The CRF's outline of the target, and which part of it belongs to which component."""

import numpy as np
import pytest

from models.masks.components import components
from models.masks.crf import CrfSettings
from models.masks.outline import SIDE, outline, parts
from tests.models.toy import picture


def likely(height: int, width: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """0.7 inside a box (x0, y0, x1, y1), 0.2 elsewhere."""
    x0, y0, x1, y1 = box
    probability = np.full((height, width), 0.2, np.float32)
    probability[y0:y1, x0:x1] = 0.7
    return probability


@pytest.mark.parametrize(("height", "width"), [(96, 128), (2 * SIDE, SIDE)])
def test_an_outline_follows_grey_values_from_where_the_target_is_likely(height: int, width: int) -> None:
    x0, y0, x1, y1 = width // 4, height // 4, width // 2, height // 2
    image = picture(height, width, [(x0, y0, x1, y1)])
    blurred = likely(height, width, (x0 - 4, y0 + 3, x1 - 3, y1 + 4))
    found = outline(image, blurred, CrfSettings())
    truth = image[:, :, 0] > 100
    mask = found > 0.5
    before = blurred > 0.5
    assert found.shape == (height, width)
    assert 0.0 <= found.min() <= found.max() <= 1.0
    overlap = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
    assert overlap > 0.05 + 2 * (before & truth).sum() / (before.sum() + truth.sum())


def test_each_component_gets_what_touches_it_and_nothing_else() -> None:
    outlined = np.zeros((20, 40), np.float32)
    outlined[5:10, 2:8] = 0.9
    outlined[5:10, 20:30] = 0.8
    mask = np.zeros((20, 40), bool)
    mask[6:8, 3:5] = True
    mask[12:14, 33:36] = True
    first, second = components(mask, mask.astype(np.float32))
    answers = dict(zip((first.area, second.area), parts(outlined, (first, second), 0.5), strict=True))
    assert answers[4].max() == np.float32(0.9)
    assert (answers[4] > 0).sum() == 30
    assert answers[6].max() == 0.0
