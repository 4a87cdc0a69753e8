"""E[(phi(x) - phi(y))^2] for inputs that are nearly equal: integrated over their middle and their difference.

With x = s (a u + b v), y = s (a u - b v), u and v independent and b = sqrt((1 - c) / 2), the integrand is smooth but
where x or y crosses a kink. The inner integral over v is broken there; what it leaves behind changes, near a kink, over
a distance of s b, so that the outer panels are graded around each kink.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from penstock.quadrature import LANDMARKS, Function, evaluate

Array = npt.NDArray[np.float64]

_REACH = 9.0  # standard deviations of u and v; what lies beyond weighs 2e-19
_OUTER_NODES, _INNER_NODES = 16, 12
_OUTER_WIDTH = 0.5
_INNER_EDGES = np.array([0.0, 1.5, 3.0, 4.5, 6.5, _REACH])
_GRADES = np.array([0.0, 0.7, 1.5, 2.5, 4.0, 6.0, _REACH])  # of s b, around a kink
_MOST_BREAKS = 8  # kinks within reach of one point; a denser comb is integrated without its farthest breaks
_CHUNK = 400_000  # values of phi at a time


def squared_difference(
    function: Function, std: float, distance: float, kinks: Array, *, mirrored: bool = False
) -> float:
    """E[(phi(x) - phi(y))^2] of x, y ~ N(0, std^2) with correlation 1 - distance.

    Args:
        function: phi, float64 array of shape (n,) in and out.
        std: of both inputs.
        distance: 1 - c, small and positive.
        kinks: where phi is not smooth. Shape (k,).
        mirrored: the correlation is -(1 - distance) instead: y is replaced by -y.

    Examples:
        >>> round(squared_difference(np.abs, 1.0, 1e-6, np.array([0.0])) / 2e-6, 3)  # 2 distance E[phi'^2], nearly
        0.999
    """
    a, b = math.sqrt(1.0 - distance / 2.0), math.sqrt(distance / 2.0)
    if mirrored:
        kinks = np.union1d(kinks, -kinks)
    middle, weight = _outer(std * a, std * b, kinks)
    breaks = _breaks(middle, std * b, kinks)
    rows = max(1, _CHUNK // ((breaks.shape[1] - 1) * _INNER_NODES))
    inner = [
        _inner(function, middle[i : i + rows], std * b, breaks[i : i + rows], mirrored=mirrored)
        for i in range(0, len(middle), rows)
    ]
    return float(weight @ np.concatenate(inner))


def _outer(spread: float, small: float, kinks: Array) -> tuple[Array, Array]:
    """Nodes of the middle m ~ N(0, spread^2) and their probability."""
    end = _REACH * spread
    regular = np.linspace(-end, end, round(2 * _REACH / _OUTER_WIDTH) + 1)
    marks = np.concatenate([[0.0], LANDMARKS, -np.array(LANDMARKS), kinks])
    graded = (kinks[:, None] + small * np.concatenate([-_GRADES[:0:-1], _GRADES])).ravel()
    inside = np.concatenate([marks, graded])
    edges = np.unique(np.concatenate([regular, inside[np.abs(inside) < end]]))
    nodes, weights = np.polynomial.legendre.leggauss(_OUTER_NODES)
    half = np.diff(edges)[:, None] / 2
    m = (edges[:-1, None] + half * (1.0 + nodes)).ravel()
    return m, (half * weights).ravel() * np.exp(-0.5 * (m / spread) ** 2) / (spread * math.sqrt(2 * math.pi))


def _breaks(middle: Array, small: float, kinks: Array) -> Array:
    """Ends of the panels in v, for each middle: the regular ones, and where m + small v or m - small v is a kink."""
    edges = np.broadcast_to(_INNER_EDGES, (len(middle), len(_INNER_EDGES)))
    away = np.abs(kinks - middle[:, None]) / small
    near = np.sort(away, axis=1)[:, :_MOST_BREAKS]
    most = int(np.max(np.sum(near < _REACH, axis=1), initial=0))
    return np.sort(np.concatenate([edges, np.minimum(near[:, :most], _REACH)], axis=1), axis=1)


def _inner(function: Function, middle: Array, small: float, breaks: Array, *, mirrored: bool) -> Array:
    """Average over v of (phi(m + small v) - phi(m - small v))^2, made even in v where it is mirrored. Shape (m,)."""
    nodes, weights = np.polynomial.legendre.leggauss(_INNER_NODES)
    half = np.diff(breaks, axis=1)[:, :, None] / 2
    v = breaks[:, :-1, None] + half * (1.0 + nodes)
    density = 2.0 * half * weights * np.exp(-0.5 * v**2) / math.sqrt(2 * math.pi)
    x, y = middle[:, None, None] + small * v, middle[:, None, None] - small * v
    above, below = evaluate(function, x)[0], evaluate(function, y)[0]
    if not mirrored:
        return np.sum(density * (above - below) ** 2, axis=(1, 2))
    squares = (above - evaluate(function, -y)[0]) ** 2 + (below - evaluate(function, -x)[0]) ** 2
    return np.sum(density * squares, axis=(1, 2)) / 2
