"""A dense conditional random field: neighbours and pixels of one colour pull towards one label.

Two labels, every pixel joined with every other by two Gaussian kernels, solved by mean field (Krähenbühl and
Koltun, 2011), with the unary terms of MedCLIP-SAM's coarse masks. With two labels the state of a pixel is one
number, its log-odds of the foreground: from ``U_bg - U_fg`` each iteration goes to
``U_bg - U_fg + sum_k w_k (Q_fg - Q_bg filtered by kernel k)``, and ``Q_fg - Q_bg = tanh(log-odds / 2)``.

The kernel of positions is a separable Gaussian cut at five deviations. The kernel of positions and colours is
approximated on a lattice (:mod:`models.masks.lattice`), as in the library that the papers use.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.contracts import Image
from models.masks.binarise import checked
from models.masks.lattice import Lattice

Field = npt.NDArray[np.float64]
Filter = Callable[[Field], Field]

EPSILON = 1e-8
TRUNCATE = 5.0


@dataclass(frozen=True)
class CrfSettings:
    """Kernels: deviations in pixels (``sxy``) and in grey levels of 0 to 255 (``srgb``), and Potts weights.

    The defaults are those of MedCLIP-SAM's released code; its second version has 5, 5 and 3 for
    ``gaussian_sxy``, ``bilateral_sxy`` and ``bilateral_srgb``. ``tau`` softens the unary terms.
    """

    gaussian_sxy: float = 3.0
    gaussian_weight: float = 3.0
    bilateral_sxy: float = 60.0
    bilateral_srgb: float = 5.0
    bilateral_weight: float = 5.0
    iterations: int = 1
    tau: float = 1.05

    def __post_init__(self) -> None:
        if min(self.gaussian_sxy, self.bilateral_sxy, self.bilateral_srgb, self.tau) <= 0:
            raise ValueError("the deviations and tau of the CRF must be above 0")
        if min(self.gaussian_weight, self.bilateral_weight, self.iterations) < 0:
            raise ValueError("the weights and iterations of the CRF must not be negative")


def dense_crf(
    image: Image, saliency: npt.NDArray[np.float32], settings: CrfSettings
) -> npt.NDArray[np.bool_]:
    """Return the foreground (H, W): where it is the likelier label after mean field.

    ``image`` is (H, W, 3) uint8, ``saliency`` (H, W) in [0, 1] on the same pixels.
    Raises ValueError where the sizes differ, the map is not finite, or a deviation is too small for the
    image.
    """
    return np.asarray(mean_field(image, saliency, settings) > 0.0)


def mean_field(image: Image, saliency: npt.NDArray[np.float32], settings: CrfSettings) -> Field:
    """Return the log-odds (H, W) of the foreground after ``iterations`` steps. See :func:`dense_crf`."""
    if image.shape != (*checked(saliency).shape, 3):
        raise ValueError(f"an image of shape {image.shape} does not fit a map of shape {saliency.shape}")
    unary = unary_log_odds(saliency, settings.tau)
    kernels: list[tuple[float, Filter]] = []
    if settings.gaussian_weight:
        kernels.append((settings.gaussian_weight, normalised(_spatial(settings.gaussian_sxy), unary.shape)))
    if settings.bilateral_weight:
        bilateral = bilateral_filter(image, settings.bilateral_sxy, settings.bilateral_srgb)
        kernels.append((settings.bilateral_weight, normalised(bilateral, unary.shape)))
    log_odds = unary
    for _ in range(settings.iterations):
        balance = np.tanh(log_odds / 2.0)
        log_odds = unary + sum((weight * kernel(balance) for weight, kernel in kernels), np.zeros_like(unary))
    return log_odds


def unary_log_odds(saliency: npt.NDArray[np.float32], tau: float) -> Field:
    """Return ``U_bg - U_fg`` (H, W), with ``U = -ln(p) / (tau logistic(p))`` of each label's p."""
    inside = np.clip(saliency.astype(np.float64), 0.0, 1.0)
    return _energy(1.0 - inside, tau) - _energy(inside, tau)


def _energy(probability: Field, tau: float) -> Field:
    logistic = 1.0 / (1.0 + np.exp(-probability))
    return np.asarray(-np.log(probability + EPSILON) / (tau * logistic))


def normalised(kernel: Filter, shape: tuple[int, ...]) -> Filter:
    """Scale a kernel K symmetrically: N K N with N = 1 / sqrt(K 1), a pixel's own weight included."""
    scale = 1.0 / np.sqrt(kernel(np.ones(shape)))
    return lambda field: np.asarray(scale * kernel(scale * field))


def _spatial(sxy: float) -> Filter:
    """Return the Gaussian of positions; nothing lies beyond the image's edge."""
    return lambda field: np.asarray(
        ndimage.gaussian_filter(field, sxy, mode="constant", truncate=TRUNCATE), np.float64
    )


def bilateral_filter(image: Image, sxy: float, srgb: float) -> Filter:
    """Return the Gaussian of positions (deviation ``sxy``) and colours (``srgb``) on the lattice.

    Where all colours are the same it is the Gaussian of positions, without the lattice's error.
    """
    rows, columns = image.shape[:2]
    y, x = np.mgrid[:rows, :columns].reshape(2, -1) / sxy
    colours = image.reshape(-1, 3) / srgb
    if (colours == colours[:, :1]).all():
        # Grey: one axis has the same distances as three equal ones, and the lattice fewer dimensions.
        colours = colours[:, :1] * np.sqrt(3.0)
    if not np.ptp(colours):
        return _spatial(sxy)
    lattice = Lattice(np.column_stack([x, y, colours]))
    return lambda field: lattice.blur(field.ravel()).reshape(field.shape)
