"""The dense CRF against brute force over all pairs of pixels, and its limits."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.masks.crf import CrfSettings, bilateral_filter, dense_crf, mean_field, normalised, unary_log_odds
from models.masks.lattice import Lattice

RELEASED = (CrfSettings(), CrfSettings(gaussian_sxy=5, bilateral_sxy=5, bilateral_srgb=3))
UNARY = CrfSettings(gaussian_weight=0.0, bilateral_weight=0.0)


def scene(side: int, seed: int = 0, colour: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on a shaded ground with noise, and a blurred map that points beside its centre."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    inside = (x - 0.5) ** 2 + (y - 0.45) ** 2 < 0.06
    channels = 3 if colour else 1
    shade = 40 + 50 * x[..., None] * np.arange(1, channels + 1) / channels
    image = shade + 90 * inside[..., None] + rng.normal(0, 3, (side, side, channels))
    image = np.broadcast_to(np.clip(image, 0, 255), (side, side, 3)).astype(np.uint8)
    saliency = np.exp(-((x - 0.42) ** 2 + (y - 0.5) ** 2) / 0.07) + rng.normal(0, 0.02, (side, side))
    return image, np.clip(saliency, 0, 1).astype(np.float32)


def gauss(features: np.ndarray) -> np.ndarray:
    """All pairs (N, N) of features (N, d): exp(-distance^2 / 2), scaled symmetrically."""
    kernel = np.exp(-0.5 * ((features[:, None] - features[None]) ** 2).sum(2))
    scale = 1 / np.sqrt(kernel.sum(1))
    return scale[:, None] * kernel * scale[None]


def brute_force(image: np.ndarray, saliency: np.ndarray, crf: CrfSettings) -> np.ndarray:
    """Probabilities (2, H, W) of background and foreground: softmax over both labels, every pair visited."""
    rows, columns = saliency.shape
    places = np.mgrid[:rows, :columns].reshape(2, -1).T.astype(float)
    colours = image.reshape(-1, 3) / crf.bilateral_srgb
    pairs = crf.gaussian_weight * gauss(places / crf.gaussian_sxy)
    pairs += crf.bilateral_weight * gauss(np.hstack([places / crf.bilateral_sxy, colours]))
    a = saliency.ravel().astype(float)
    p = np.stack([1 - a, a])
    unary = -np.log(p + 1e-8) / (crf.tau / (1 + np.exp(-p)))
    q = np.exp(-unary) / np.exp(-unary).sum(0)
    for _ in range(crf.iterations):
        q = np.exp(-unary + q @ pairs)
        q /= q.sum(0)
    return q.reshape(2, rows, columns)


def foreground(image: np.ndarray, saliency: np.ndarray, crf: CrfSettings) -> np.ndarray:
    return 1 / (1 + np.exp(-mean_field(image, saliency, crf)))


@pytest.mark.parametrize("crf", RELEASED)
@pytest.mark.parametrize("seed", range(4))
def test_probabilities_are_those_of_brute_force(crf: CrfSettings, seed: int) -> None:
    """The stated tolerance at 16 x 16: 0.005 on average, 0.1 at worst, 99 of 100 labels the same."""
    image, saliency = scene(16, seed)
    exact, found = brute_force(image, saliency, crf)[1], foreground(image, saliency, crf)
    assert np.abs(exact - found).mean() < 0.005
    assert np.abs(exact - found).max() < 0.1
    assert ((exact > 0.5) == (found > 0.5)).mean() >= 0.99


@pytest.mark.parametrize("crf", RELEASED)
def test_a_colour_image_gives_nearly_the_mask_of_brute_force(crf: CrfSettings) -> None:
    image, saliency = scene(24, colour=True)
    exact = brute_force(image, saliency, crf)[1]
    assert ((exact > 0.5) == dense_crf(image, saliency, crf)).mean() >= 0.97


@pytest.mark.parametrize("iterations", [1, 3])
def test_the_kernel_of_positions_alone_is_exact(iterations: int) -> None:
    crf = CrfSettings(bilateral_weight=0.0, iterations=iterations)
    image, saliency = scene(16)
    exact = brute_force(image, saliency, crf)[1]
    np.testing.assert_allclose(foreground(image, saliency, crf), exact, atol=1e-4)


def test_without_pairs_the_label_is_the_cheaper_one() -> None:
    image, saliency = scene(16)
    exact = brute_force(image, saliency, UNARY)
    assert np.array_equal(dense_crf(image, saliency, UNARY), exact.argmax(0) == 1)
    np.testing.assert_allclose(foreground(image, saliency, UNARY), exact[1], atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1, width=32), st.floats(0.5, 3))
def test_the_unary_terms_are_those_of_the_definition(value: float, tau: float) -> None:
    a = np.float64(np.float32(value))
    logistic = lambda v: 1 / (1 + np.exp(-v))
    background = -np.log(1 - a + 1e-8) / (tau * logistic(1 - a))
    inside = -np.log(a + 1e-8) / (tau * logistic(a))
    found = unary_log_odds(np.array([[value]], np.float32), tau)
    assert found.item() == pytest.approx(background - inside, abs=1e-6)


@pytest.mark.parametrize("crf", RELEASED)
def test_the_inverse_map_gives_the_inverse_labels_and_both_probabilities_sum_to_one(crf: CrfSettings) -> None:
    image, saliency = scene(20)
    saliency = (np.rint(saliency * 256) / 256).astype(np.float32)  # 1 - a exact
    both = foreground(image, saliency, crf) + foreground(image, np.float32(1) - saliency, crf)
    np.testing.assert_allclose(both, 1.0, atol=1e-6)
    assert np.array_equal(dense_crf(image, saliency, crf), ~dense_crf(image, 1 - saliency, crf))


def test_on_a_uniform_image_the_colours_add_nothing_to_a_gaussian_of_positions() -> None:
    image = np.full((48, 48, 3), 90, np.uint8)
    field = np.tanh(np.random.default_rng(0).normal(size=(48, 48)))
    found = normalised(bilateral_filter(image, 5.0, 3.0), field.shape)(field)
    places = np.mgrid[:48, :48].reshape(2, -1).T / 5.0
    np.testing.assert_allclose(found, (gauss(places) @ field.ravel()).reshape(48, 48), atol=1e-4)


def test_the_mask_follows_the_edge_of_the_image_rather_than_the_blur_of_the_map() -> None:
    y, x = np.mgrid[:64, :64]
    disc = (x - 32) ** 2 + (y - 32) ** 2 < 12**2
    image = np.repeat(np.where(disc, 160, 60).astype(np.uint8)[..., None], 3, axis=2)
    saliency = np.exp(-((x - 32) ** 2 + (y - 32) ** 2) / 500).astype(np.float32)
    plain, found = (dense_crf(image, saliency, crf) for crf in (UNARY, CrfSettings(iterations=2)))
    overlap = lambda mask: 2 * (mask & disc).sum() / (mask.sum() + disc.sum())
    assert overlap(plain) < 0.7
    assert overlap(found) > 0.95


def test_the_lattice_is_a_gaussian_up_to_one_factor() -> None:
    """Averaged over random places, the response falls as exp(-d^2 / 2), to 15 % of its peak."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(-4, 4, 0.25)] * 2), -1).reshape(-1, 2)
    responses = []
    for _ in range(30):
        values = np.zeros(len(grid))
        values[528] = 1.0  # at (0, 0)
        responses.append(Lattice(grid + rng.uniform(0, 9, 2)).blur(values))
    mean = np.mean(responses, 0)
    exact = np.exp(-0.5 * ((grid - grid[528]) ** 2).sum(1))
    assert np.abs(mean / mean.sum() - exact / exact.sum()).max() < 0.15 * (exact / exact.sum()).max()


def test_the_size_of_a_radiograph_takes_seconds() -> None:
    image, saliency = scene(512)
    start = time.process_time()
    dense_crf(image, saliency, CrfSettings())
    assert time.process_time() - start < 10.0


def test_a_map_at_its_ends_gives_finite_numbers() -> None:
    image, saliency = scene(16)
    assert np.isfinite(mean_field(image, (saliency > 0.5).astype(np.float32), CrfSettings())).all()
    assert not dense_crf(image, np.zeros((16, 16), np.float32), CrfSettings()).any()


def test_input_that_does_not_fit_is_refused() -> None:
    image, saliency = scene(16)
    with pytest.raises(ValueError, match="does not fit"):
        dense_crf(image[:8], saliency, CrfSettings())
    with pytest.raises(ValueError, match="not finite"):
        dense_crf(image, np.full((16, 16), np.nan, np.float32), CrfSettings())


@pytest.mark.parametrize("values", [{"gaussian_sxy": 0.0}, {"tau": 0.0}, {"bilateral_weight": -1.0}])
def test_settings_without_meaning_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="of the CRF must"):
        CrfSettings(**values)


def test_deviations_too_small_for_the_lattice_are_refused() -> None:
    image, saliency = scene(16, colour=True)
    with pytest.raises(ValueError, match="larger deviations"):
        dense_crf(image, saliency, CrfSettings(bilateral_srgb=1e-3, bilateral_sxy=1e-3))
