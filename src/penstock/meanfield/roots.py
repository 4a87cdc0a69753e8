"""Roots of functions of one and of two numbers. Importing SciPy's takes longer than solving with these."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError

_STEPS = 200


def crossing(function: Callable[[float], float], low: float, high: float, *, tolerance: float = 1e-14) -> float:
    """A root between two points where a continuous function has opposite signs, or is zero.

    Ridders' method: at worst it halves the interval, near a simple root it doubles the digits.

    Args:
        function: of one number.
        low: end of the interval.
        high: its other end.
        tolerance: of the root, absolute.

    Returns:
        The root.

    Examples:
        >>> round(crossing(lambda x: x * x - 2.0, 0.0, 2.0), 12)
        1.414213562373
    """
    at_low, at_high = function(low), function(high)
    if at_low == 0.0 or at_high == 0.0:
        return low if at_low == 0.0 else high
    last = math.inf
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        at_middle = function(middle)
        root = math.sqrt(max(at_middle * at_middle - at_low * at_high, 0.0))
        if at_middle == 0.0 or root == 0.0:
            return middle
        x = middle + (middle - low) * math.copysign(1.0, at_low - at_high) * at_middle / root
        at_x = function(x)
        if at_x == 0.0 or abs(x - last) <= tolerance or high - low <= tolerance:
            return x
        last = x
        points = sorted([(low, at_low), (middle, at_middle), (x, at_x), (high, at_high)])
        for (left, at_left), (right, at_right) in itertools.pairwise(points):
            if (at_left < 0.0) != (at_right < 0.0):
                low, at_low, high, at_high = left, at_left, right, at_right
                break
    return 0.5 * (low + high)


def first_crossing(
    function: Callable[[float], float], grid: Sequence[float], *, tolerance: float = 1e-14
) -> float | None:
    """The root in the first interval of a grid over which a function changes its sign; None where it never does.

    The search begins at the first point where the function is finite, and ends at the next where it is not, or where
    it raises `ArgumentError`: a moment that is all rounding, or that overflows.
    """
    before: tuple[float, float] | None = None
    for x in grid:
        try:
            value = function(x)
        except ArgumentError:
            value = math.nan
        if not math.isfinite(value):
            if before is None:
                continue
            return None
        if before is not None and (before[1] < 0.0) != (value < 0.0):
            low, high = sorted((before[0], x))
            return crossing(function, low, high, tolerance=tolerance)
        before = (x, value)
    return None


def newton_pair(
    function: Callable[[float, float], tuple[float, float] | None],
    start: tuple[float, float],
    *,
    tolerance: float = 1e-11,
    most: int = 25,
) -> tuple[float, float] | None:
    """A root of two functions of two numbers, by Newton's method with halved steps; None where it does not converge.

    Args:
        function: the two misses, in units in which 1 is large; None where there is no value.
        start: near a root.
        tolerance: of the larger miss.
        most: steps.

    Returns:
        The root, or the best point when steps no longer help and its misses are below 1e-6.
    """
    x = np.array(start)
    value = _misses(function, x)
    for _ in range(most):
        if value is None or np.max(np.abs(value)) <= tolerance:
            break
        jacobian = np.empty((2, 2))
        for i in range(2):
            step = np.zeros(2)
            step[i] = 1e-6 * max(1.0, abs(x[i]))
            ahead, behind = _misses(function, x + step), _misses(function, x - step)
            if ahead is None or behind is None:
                return None
            jacobian[:, i] = (ahead - behind) / (2 * step[i])
        if not np.isfinite(jacobian).all() or abs(np.linalg.det(jacobian)) < 1e-300:
            break
        full = np.linalg.solve(jacobian, value)
        for halvings in range(12):
            trial = x - full / 2**halvings
            there = _misses(function, trial)
            if there is not None and np.max(np.abs(there)) < np.max(np.abs(value)):
                x, value = trial, there
                break
        else:
            break
    if value is None or np.max(np.abs(value)) > 1e-6:
        return None
    return float(x[0]), float(x[1])


def _misses(
    function: Callable[[float, float], tuple[float, float] | None], x: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64] | None:
    found = function(float(x[0]), float(x[1]))
    return None if found is None or not np.isfinite(found).all() else np.array(found)
