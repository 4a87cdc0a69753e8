"""The edge of chaos: weights with which inputs neither become alike nor fly apart, and gradients keep their size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from penstock.errors import ArgumentError
from penstock.meanfield.functions import Activation, Curve, curve_of, number
from penstock.meanfield.roots import first_crossing

_LOW, _HIGH = 1e-7, 1e4
"""Variances between which roots are looked for: below, rounding of E[phi^2] is larger than what is asked of it."""

_GRID = tuple(math.log(_LOW) + k * math.log(10) / 5 for k in range(round(5 * math.log10(_HIGH / _LOW)) + 1))
_TINY = 1e-10  # a variance at which a function without offset is a straight line, or two
_FLAT = 1e-9  # a difference that is zero at all variances, up to rounding
_MOST = 100.0  # sigma_w and its inverse: beyond, the averages are of tails that the quadrature does not reach


@dataclass(frozen=True, slots=True)
class EdgePoint:
    """A start at which chi_1 = 1 at a fixed point of the variance.

    Attributes:
        weight_std: sigma_w, standard deviation of the weights times sqrt(fan_in).
        bias_std: sigma_b.
        variance: q*. 0 stands for the limit q -> 0, NaN for any variance, as with relu.
        variance_slope: V'(q*). Above 1 the fixed point is unstable.
    """

    weight_std: float
    bias_std: float
    variance: float
    variance_slope: float


def edge_of_chaos(activation: Activation | Curve, *, bias_std: float = 0.0) -> EdgePoint | None:
    r"""sigma_w at which chi_1 = 1, for a given sigma_b.

    .. math::  q - E[\phi^2] / E[\phi'^2] = \sigma_b^2, \quad \sigma_w^2 = 1 / E[\phi'^2], \quad \phi = \phi(\sqrt q z)

    Args:
        activation: a name, or a function of NumPy arrays or of a framework's tensors.
        bias_std: sigma_b. >= 0.

    Returns:
        The point with the smallest q*, or None where there is none: relu's family has one at sigma_b = 0 only. At
        sigma_b = 0 functions with phi(0) = 0 have theirs in the limit q -> 0, with sigma_w = 1 / |phi'(0)|.

    Raises:
        ArgumentError: if the name or sigma_b is wrong.

    Limits:
        q* is looked for between 1e-7 and 1e6.

    Examples:
        >>> point = edge_of_chaos("tanh", bias_std=0.05**0.5)
        >>> round(point.weight_std**2, 9), round(point.variance, 9)
        (1.76095464, 0.570047882)
        >>> round(edge_of_chaos("gelu").weight_std, 9), edge_of_chaos("relu", bias_std=0.1) is None
        (2.0, True)

    Source:
        Poole et al. 2016, figure 1, https://arxiv.org/abs/1606.05340; Hayou et al. 2019, section 3 (smooth functions),
        https://arxiv.org/abs/1902.06853
    """
    curve = curve_of(activation, caller="edge_of_chaos")
    bias_std = number(bias_std, caller="edge_of_chaos", name="bias_std", least=0.0)

    def left_over(log_q: float) -> float:
        """What is left of q for the biases, in units of q, against what they give."""
        q = math.exp(log_q)
        point = curve.at(q)
        return (
            math.nan if point.slope_second == 0.0 else 1.0 - point.second / (q * point.slope_second) - bias_std**2 / q
        )

    limit = _at_zero(curve)
    if limit is not None and (bias_std == 0.0 or math.isnan(limit.variance)):
        return limit if bias_std == 0.0 else None
    return _point(curve, first_crossing(left_over, _GRID), bias_std)


def _point(curve: Curve, log_variance: float | None, bias_std: float) -> EdgePoint | None:
    """The start with chi_1 = 1 at a variance, where the weights have a size that somebody could use."""
    if log_variance is None:
        return None
    q = math.exp(log_variance)
    point = curve.at(q)
    weight_std = point.slope_second**-0.5
    if not 1.0 / _MOST < weight_std < _MOST:
        return None
    return EdgePoint(weight_std, bias_std, q, point.growth / point.slope_second)


def half_stable_point(activation: Activation | Curve) -> EdgePoint | None:
    r"""The start at which the variance and the gradient are both marginal: V'(q*) = chi_1 = 1.

    .. math::  E[\phi^2 (z^2 - 1)] / 2q = E[\phi'^2] = 1 / \sigma_w^2, \quad \sigma_b^2 = q - \sigma_w^2 E[\phi^2] \ge 0

    Args:
        activation: a name, or a function of NumPy arrays or of a framework's tensors.

    Returns:
        The point with the smallest positive q*: GELU and SiLU have one, from above stable and from below not. Where
        there is none, the limit q -> 0 of functions with phi(0) = 0 (tanh, sin), any q of relu's family; else None.

    Raises:
        ArgumentError: if the name is not known.

    Examples:
        >>> point = half_stable_point("gelu")
        >>> round(point.weight_std**2, 9), round(point.bias_std**2, 9), round(point.variance, 9)
        (1.983058257, 0.172922391, 3.561552813)

    Source:
        Roberts, Yaida, Hanin 2021, sections 5.3.3 and 5.3.4, https://arxiv.org/abs/2106.10165
    """
    curve = curve_of(activation, caller="half_stable_point")
    limit = _at_zero(curve)
    if limit is not None and math.isnan(limit.variance):
        return limit

    def uneven(log_q: float) -> float:
        point = curve.at(math.exp(log_q))
        return math.nan if point.slope_second == 0.0 else point.growth / point.slope_second - 1.0

    for low in range(len(_GRID) - 1):
        ends = _GRID[low : low + 2]
        try:
            clear = all(abs(uneven(end)) > _FLAT for end in ends)  # below that the sign is rounding
        except ArgumentError:
            break
        root = first_crossing(uneven, ends) if clear else None
        found = _point(curve, root, 0.0)
        if found is None:
            continue
        bias_variance = found.variance - found.weight_std**2 * curve.at(found.variance).second
        if bias_variance >= 0.0:
            return EdgePoint(found.weight_std, math.sqrt(bias_variance), found.variance, found.variance_slope)
    return limit


def _at_zero(curve: Curve) -> EdgePoint | None:
    """The edge without biases, of a function that goes through 0 with a slope there; NaN as q* where any q does."""
    step = 1e-3
    values = np.asarray(curve.function(step * np.arange(-4.0, 5.0)), dtype=np.float64)
    forward = np.array([-25.0, 48.0, -36.0, 16.0, -3.0]) / (12 * step)
    right, left = float(forward @ values[4:]), float(forward @ values[4::-1])
    slope_second = (right**2 + left**2) / 2
    if slope_second <= _FLAT or abs(float(values[4])) > step * _FLAT:
        return None
    try:
        point = curve.at(_TINY)
    except ArgumentError:  # nothing but rounding there
        return None
    if abs(point.slope_second / slope_second - 1.0) > 1e-3 or abs(point.second / (_TINY * slope_second) - 1.0) > 1e-3:
        return None  # another slope within 1e-5 than within 1e-3: no straight line near 0
    everywhere = all(_straight(curve, q) for q in (1e-2, 1.0, 1e2))
    return EdgePoint(slope_second**-0.5, 0.0, math.nan if everywhere else 0.0, 1.0)


def _straight(curve: Curve, variance: float) -> bool:
    """Whether E[phi^2] = q E[phi'^2] there, as of straight lines on both sides of 0."""
    try:
        point = curve.at(variance)
    except ArgumentError:
        return False
    return abs(point.second - variance * point.slope_second) <= _FLAT * point.second
