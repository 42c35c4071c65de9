"""The picture shows what it says: outline where the mask is, bright where the map is unsure."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from app.demo import overlay
from app.demo.studies import CHEST, packaged


def ellipse(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return ((rows - height / 2) / (height / 4)) ** 2 + ((columns - width / 2) / (width / 3)) ** 2 < 1


def test_the_outline_lies_inside_the_mask_and_leaves_its_middle_free():
    mask = ellipse(80, 100)
    picture = np.zeros((80, 100, 3), np.uint8)

    drawn = (overlay.outlined(picture, mask) == overlay.CONTOUR).all(axis=-1)

    assert drawn.any()
    assert not drawn[~mask].any()
    assert not drawn[40, 50]


def test_a_mask_that_touches_the_border_is_outlined_there_too():
    mask = np.zeros((20, 20), bool)
    mask[:10] = True

    drawn = (overlay.outlined(np.zeros((20, 20, 3), np.uint8), mask) == overlay.CONTOUR).all(axis=-1)

    assert drawn[0].all()


@given(st.integers(2, 900), st.integers(2, 900))
def test_fitting_keeps_the_proportions(height, width):
    fitted = overlay.fit(np.zeros((height, width, 3), np.uint8))

    assert max(fitted.shape[:2]) == overlay.PANEL
    expected = overlay.PANEL * min(height, width) / max(height, width)
    assert min(fitted.shape[:2]) == pytest.approx(expected, abs=1)


def test_more_uncertainty_is_brighter():
    scale = overlay.heat(np.linspace(0, 1, 50, dtype=np.float32)[None])[0]

    luminance = scale @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(luminance) > 0).all()


def test_monochrome1_is_shown_with_bone_white():
    image = dcmread(packaged("data_store", "data", CHEST))

    shown = overlay.greyscale(image)

    assert image.PhotometricInterpretation == "MONOCHROME1"
    spine, lung = shown[900:1100, 860:940].mean(), shown[700:900, 450:550].mean()
    assert spine > lung


def test_a_long_title_stays_inside_the_sheet(tmp_path):
    panels = overlay.segmented(
        np.zeros((64, 64, 3), np.uint8), ellipse(64, 64), np.zeros((64, 64), np.float32)
    )

    overlay.save(panels, "a very long prompt " * 12, "short", tmp_path / "overlay.png")

    sheet = np.asarray(overlay.compose(panels, "a very long prompt " * 12, "short"))
    assert (sheet[:, -overlay.MARGIN :] == overlay.BACKGROUND).all()
