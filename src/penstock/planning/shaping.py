r"""Kernel shaping: where on its curve a function must be used so that a deep plain stack keeps inputs apart.

Deep kernel shaping (Martens et al. 2021, https://arxiv.org/abs/2110.01765, section 4) replaces phi by
gamma (phi(alpha z + beta) + delta) so that with z ~ N(0, 1), and for a stack of n layers,

    E[phi^^2] = 1,   E[phi^] = 0,   E[z phi^ phi^'] = 1,   E[phi^'^2] = zeta^(1/n).

None of the four numbers has to touch the model: a layer whose units have mean beta and standard deviation alpha
shows phi where it is used so, and the next layer's own scale and bias take up gamma and delta.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from penstock.graph import ScalarFunction

ALPHAS = (0.05, 0.2, 0.6)
BETAS = (0.0, 0.3, -0.3, 0.8, -0.8, 1.5, -1.5)
"""Starting points of the search: alpha from nearly straight to the function's own scale, beta on both sides."""

TOLERANCE = 1e-3
"""A shape is taken when both conditions hold to this share: the sampling noise of a batch is larger."""

LIMIT = 6.0
"""Neither |beta| nor alpha may be larger: further out, functions are straight lines, constants or overflow."""

_Z = np.linspace(-8.0, 8.0, 4001)
_WEIGHT = np.exp(-0.5 * _Z * _Z)
_WEIGHT /= _WEIGHT.sum()
_STEP = 1e-5


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a function is used.

    Attributes:
        alpha: standard deviation of the pre-activations.
        beta: their mean.
        slope: E[phi^'^2] that is reached there: how fast inputs that are close drift apart, by layer.
        balanced: whether E[z phi^ phi^'] = 1 holds too, so that the variance is a stable fixed point.
        variance: Var[phi] there: gamma is its inverse root.
    """

    alpha: float
    beta: float
    slope: float
    balanced: bool
    variance: float


def shape(function: ScalarFunction, slope: float) -> Shape | None:
    """Find alpha and beta with E[phi^'^2] = slope, and E[z phi^ phi^'] = 1 where the function allows it.

    Args:
        function: phi, elementwise, float64 in and out.
        slope: wanted, zeta^(1/n), above 1. Only a straight line has 1.

    Returns:
        The shape with the smallest |beta|, or None where no part of the curve is straight enough.

    Examples:
        >>> shape(np.tanh, 1.5 ** (1 / 40)).balanced
        True
        >>> shape(lambda x: np.ones_like(x), 1.01) is None
        True
    """
    with np.errstate(all="ignore"):
        found = [s for a in ALPHAS for b in BETAS if (s := _balanced(function, slope, a, b)) is not None]
        if found:
            return min(found, key=lambda s: (round(abs(s.beta), 3), -s.beta))
        return _unbalanced(function, slope)


def _balanced(function: ScalarFunction, slope: float, alpha: float, beta: float) -> Shape | None:
    """Both conditions at once, by a quasi-Newton search from one starting point."""
    from scipy.optimize import root

    def miss(x: npt.NDArray[np.float64]) -> tuple[float, float]:
        value = _slopes(function, x[0], x[1])
        # Both in units of what is wanted: the slope's excess over a straight line's is small.
        return (1e3, 1e3) if value is None else ((value[0] - slope) / (slope - 1.0), (value[1] - 1.0) / (slope - 1.0))

    result = root(miss, [math.log(alpha), beta], method="hybr", options={"maxfev": 60})
    if not np.isfinite(result.x).all() or max(abs(m) for m in miss(result.x)) > TOLERANCE:
        return None
    alpha, beta = math.exp(result.x[0]), float(result.x[1])
    return Shape(alpha, beta, slope, True, _variance(function(alpha * _Z + beta)))


def _unbalanced(function: ScalarFunction, slope: float) -> Shape | None:
    """The slope alone, at beta = 1, -1 or 0: for ReLU and its kin, whose variance map is straight at any scale."""
    from scipy.optimize import root_scalar

    grid = np.log(np.geomspace(0.05, 3.0, 24))
    for beta in (1.0, -1.0, 0.0):

        def miss(log_alpha: float, beta: float = beta) -> float:
            value = _slopes(function, log_alpha, beta)
            return -1.0 if value is None else value[0] - slope

        misses = [miss(float(g)) for g in grid]
        for i in range(len(grid) - 1):
            if misses[i] < 0.0 <= misses[i + 1]:
                log_alpha = float(root_scalar(miss, bracket=(grid[i], grid[i + 1]), xtol=1e-6).root)
                alpha = math.exp(log_alpha)
                return Shape(alpha, beta, slope, False, _variance(function(alpha * _Z + beta)))
    return None


def _variance(value: npt.NDArray[np.float64]) -> float:
    """Variance of a function of z from its values on the grid."""
    return float(_WEIGHT @ (value - float(_WEIGHT @ value)) ** 2)


def _slopes(function: ScalarFunction, log_alpha: float, beta: float) -> tuple[float, float] | None:
    """(E[phi^'^2], E[z phi^ phi^']) of the shaped function; None where phi is constant or overflows there."""
    if not math.log(1e-4) < log_alpha < math.log(LIMIT) or abs(beta) > LIMIT:
        return None
    alpha = math.exp(log_alpha)
    x = alpha * _Z + beta
    value = function(x)
    derivative = (function(x + _STEP) - function(x - _STEP)) / (2 * _STEP)
    mean = float(_WEIGHT @ value)
    variance = _variance(value)
    if not math.isfinite(variance) or variance < 1e-14:
        return None
    second = alpha**2 * float(_WEIGHT @ derivative**2) / variance
    balance = alpha * float(_WEIGHT @ (_Z * (value - mean) * derivative)) / variance
    return second, balance
