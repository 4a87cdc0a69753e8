"""The smooth pieces of a function as the quadrature found them: kinks between them, and second derivatives on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from penstock.quadrature import NODES, Function, Samples, sample_gaussian

Array = npt.NDArray[np.float64]

_NARROW = 1e-4  # of a standard deviation: panels between two wide ones that closed in on a kink; slopes are noise there
_SLOPE_JUMP = 1e-6  # of the largest slope: more than rounding leaves between two panels of a smooth function
_CURVE_JUMP = 1e-3  # of the largest second derivative
_LARGE = 1e-3  # a jump that is one beyond doubt, of the largest slope or value


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """A function under N(mean, std^2).

    Attributes:
        samples: values, slopes and probabilities at quadrature nodes.
        curvature: second derivative at the same nodes, almost everywhere. Shape (n,).
        kinks: where the value, the slope or the second derivative jumps, ascending. Shape (k,).
        slope_jumps: whether the slope or the value jumps at some kink, so that E[phi''^2] is infinite.
    """

    samples: Samples
    curvature: Array
    kinks: Array
    slope_jumps: bool


def pieces_of(function: Function, *, mean: float, std: float) -> Pieces:
    """Sample a function and tell where it is not smooth.

    Examples:
        >>> relu = pieces_of(lambda x: np.maximum(x - 0.3, 0.0), mean=0.0, std=1.0)
        >>> np.round(relu.kinks, 9).tolist(), relu.slope_jumps
        ([0.3], True)
        >>> pieces_of(np.tanh, mean=0.0, std=1.0).kinks.size
        0
    """
    samples = sample_gaussian(function, mean=mean, std=std)
    x, slopes = samples.x.reshape(-1, NODES), samples.slopes.reshape(-1, NODES)
    order = np.argsort(x[:, 0])
    width = x[:, -1] - x[:, 0]
    curvature = slopes @ _derivative().T * (2.0 / width)[:, None]
    narrow = width < _NARROW * std
    curvature[narrow] = 0.0
    values = samples.values.reshape(-1, NODES)
    kinks, jumps = _kinks(x[order], values[order], slopes[order], curvature[order], narrow[order])
    return Pieces(samples, curvature.ravel(), kinks, jumps)


def _kinks(
    x: Array, values: Array, slopes: Array, curvature: Array, narrow: npt.NDArray[np.bool_]
) -> tuple[Array, bool]:
    """Ends of wide panels where the two sides do not fit, and whether one is a jump of slope or value."""
    wide = np.flatnonzero(~narrow)
    left, right = wide[:-1], wide[1:]
    value_gap = np.abs(values[right, 0] - values[left, -1])
    slope_gap = np.abs(slopes[right, 0] - slopes[left, -1])
    curve_gap = np.abs(curvature[right, 0] - curvature[left, -1])
    width = x[right, -1] - x[left, 0]
    steepest = float(np.abs(slopes[wide]).max())
    steep = slope_gap > _SLOPE_JUMP * steepest
    bent = (curve_gap > _CURVE_JUMP * float(np.abs(curvature).max())) & (curve_gap * width > _SLOPE_JUMP * steepest)
    closed_in = right - left > 1
    found = np.flatnonzero(closed_in | steep | bent)
    places = np.array([_narrowest(x[left[i] : right[i] + 1]) for i in found])
    large = (slope_gap > _LARGE * steepest) | (value_gap > _LARGE * float(np.abs(values).max()))
    return places, bool(np.any(large))


def _narrowest(x: Array) -> float:
    """The kink between the first and the last of some panels: in the narrowest of those between, or where they meet."""
    if len(x) == 2:
        return float(x[1, 0])
    between = x[1:-1]
    tightest = between[np.argmin(between[:, -1] - between[:, 0])]
    return float(tightest[0] + tightest[-1]) / 2


@cache
def _derivative() -> Array:
    """Differentiates the polynomial through values at the quadrature's nodes on [-1, 1]. Shape (NODES, NODES)."""
    legendre = np.polynomial.legendre
    nodes = sample_gaussian(lambda t: t, mean=0.0, std=1.0).x[:NODES]
    nodes = (2 * nodes - nodes[0] - nodes[-1]) / (nodes[-1] - nodes[0])
    vander = legendre.legvander(nodes, NODES - 1)
    slopes = np.stack([legendre.legval(nodes, legendre.legder(row)) for row in np.eye(NODES)], axis=1)
    return slopes @ np.linalg.inv(vander)
