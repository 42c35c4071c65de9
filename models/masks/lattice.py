"""Gaussian filtering of many points with many features, on the permutohedral lattice.

The lattice of Adams, Baek and Davis (2010) fills d dimensions with simplices of d + 1 corners. Values are
spread from each point to the corners around it, blurred along the d + 1 directions of the lattice, and read
back at the points: time grows with the number of points, not with the width of the Gaussian. The result is a
Gaussian of deviation 1 up to a factor, and an approximation: corners that no point touches carry nothing.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Lattice:
    """The lattice under points (N, d), in units of the Gaussian's deviation along each feature.

    Raises ValueError where the points spread over too many deviations to number the lattice.
    """

    def __init__(self, features: Floats) -> None:
        count, d = features.shape
        elevated = _elevate(features)
        origin, rank = _simplex(elevated)
        self._weights = _barycentric(elevated, origin, rank)
        # Corner k of a simplex lies k steps from its origin, less a whole period where the rank is high. One
        # coordinate of d + 1 follows from the others.
        steps = np.arange(d + 1)[None, :, None]
        corners = origin[:, None, :d] + steps - (d + 1) * (rank[:, None, :d] > d - steps)
        low = corners.min((0, 1)) - (d + 1)
        span = corners.max((0, 1)) + (d + 1) - low + 1
        if np.prod(span.astype(float)) > np.iinfo(np.int64).max:
            raise ValueError("the features spread over too many deviations; take larger deviations")
        stride = np.concatenate([[1], np.cumprod(span[:-1])])
        codes, index = np.unique((corners - low) @ stride, return_inverse=True)
        self._index = index.reshape(count, d + 1)
        self._size = len(codes)
        along = -stride.sum() + np.append((d + 1) * stride, 0)
        self._neighbours = [(_find(codes, codes + step), _find(codes, codes - step)) for step in along]

    def blur(self, values: Floats) -> Floats:
        """Filter values (N,): ``sum_j exp(-|f_i - f_j|^2 / 2) v_j`` up to one factor for all i."""
        corners = np.zeros(self._size + 1)  # the last one stands for every corner without a point
        spread = self._weights * values[:, None]
        corners[:-1] = np.bincount(self._index.ravel(), spread.ravel(), self._size)
        for ahead, behind in self._neighbours:
            corners[:-1] += 0.5 * (corners[ahead] + corners[behind])
        return np.asarray((self._weights * corners[self._index]).sum(1))


def _elevate(features: Floats) -> Floats:
    """Map (N, d) isometrically, up to scale, to the plane of d + 1 coordinates that sum to 0.

    The scale makes spreading, blurring and reading back together a Gaussian of deviation 1.
    """
    d = features.shape[1]
    basis = np.zeros((d, d + 1))
    for axis in range(d):
        basis[axis, : axis + 1] = 1.0
        basis[axis, axis + 1] = -(axis + 1.0)
    basis *= (d + 1) * np.sqrt(2.0 / 3.0) / np.linalg.norm(basis, axis=1, keepdims=True)
    return np.asarray(features @ basis)


def _simplex(elevated: Floats) -> tuple[Integers, Integers]:
    """Return the origin (N, d + 1) of each point's simplex and the rank of each coordinate's remainder."""
    period = elevated.shape[1]
    origin = (np.rint(elevated / period) * period).astype(np.int64)
    order = np.argsort(origin - elevated, axis=1, kind="stable")
    rank = np.argsort(order, axis=1) + origin.sum(1, keepdims=True) // period
    # Coordinates of the origin must sum to 0: those rounded the furthest go back by a period.
    wrap = period * ((rank < 0).astype(np.int64) - (rank >= period))
    return origin + wrap, rank + wrap


def _barycentric(elevated: Floats, origin: Integers, rank: Integers) -> Floats:
    """Return the weights (N, d + 1) of each point's corners; they sum to 1."""
    period = elevated.shape[1]
    remainder = np.empty_like(elevated)
    np.put_along_axis(remainder, rank, (elevated - origin) / period, axis=1)  # largest first
    weights = np.empty_like(remainder)
    weights[:, 0] = 1.0 - remainder[:, 0] + remainder[:, -1]
    weights[:, 1:] = (remainder[:, :-1] - remainder[:, 1:])[:, ::-1]
    return weights


def _find(codes: Integers, wanted: Integers) -> Integers:
    """Return where each wanted code stands in the sorted codes, or their number where it does not."""
    place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return np.where(codes[place] == wanted, place, len(codes))
