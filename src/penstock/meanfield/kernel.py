r"""What a scalar function does to the correlation of two Gaussian inputs.

For x, y ~ N(0, q) with correlation c, and with normalised Hermite polynomials h_k,

    E[phi(x) phi(y)] = sum_k a_k^2 c^k,    a_k = E[phi(sqrt(q) z) h_k(z)].

The coefficients of a smooth function die out and the sum is exact. Those of a function with kinks or jumps fall as a
power of k, and near c = 1 the rest of the sum counts: there E[(phi(x) - phi(y))^2] is integrated directly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.meanfield.close_pairs import squared_difference
from penstock.meanfield.functions import Activation, curve_of, number
from penstock.meanfield.pieces import pieces_of
from penstock.quadrature import Function, Samples

Array = npt.NDArray[np.float64]

TERMS = 1024  # h_1024 makes 5 waves on a panel of the quadrature, which has 17 nodes
CLOSE = 0.98  # c^1024 is 1e-9 there; what is left out is 1e-9 of a rest that is 1e-2 at the most, by a jump
MOST_KINKS = 32  # beyond, near c = 1, the rest of the series is taken to fall as the square root of 1 - c
_NO_REST = 1e-14  # of E[phi^2]
_NO_SLOPE_REST = 1e-10  # of E[phi'^2]


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """E[phi(x) phi(y)] of two inputs of one variance, as a function of their correlation.

    Attributes:
        function: phi.
        variance: q, of both inputs.
        coefficients: a_k of the Hermite series. Shape (terms,).
        second: E[phi^2], the kernel at c = 1.
        slope_second: E[phi'^2], almost everywhere.
        kinks: where phi is not smooth.
        smooth: whether the series is exact at every c.
    """

    function: Function
    variance: float
    coefficients: Array
    second: float
    slope_second: float
    kinks: Array
    smooth: bool

    def gap(self, distance: float) -> float:
        """E[phi^2] - E[phi(x) phi(y)] at correlation 1 - distance, without cancellation. 0 <= distance <= 2."""
        if distance == 0.0:
            return 0.0
        series = float(self.coefficients**2 @ -_power_minus_one(distance, len(self.coefficients)))
        if self.smooth:
            return series
        rest = self.second - float(np.sum(self.coefficients**2))
        if len(self.kinks) > MOST_KINKS:  # a quantizer: the rest comes from its jumps
            return series + rest * math.sqrt(min(1.0, distance / (1.0 - CLOSE)))
        if abs(1.0 - distance) > CLOSE:
            mirrored = distance > 1.0
            apart = max(2.0 - distance, 1e-24) if mirrored else distance
            return squared_difference(self.function, math.sqrt(self.variance), apart, self.kinks, mirrored=mirrored) / 2
        return series + rest

    def rest(self, distance: float) -> float:
        """What the series leaves out of the kernel at correlation 1 - distance; 0 of a smooth function."""
        if self.smooth:
            return 0.0
        series = float(self.coefficients**2 @ (_power_minus_one(distance, len(self.coefficients)) + 1.0))
        return max(0.0, self.second - self.gap(distance) - series)

    def slope(self, distance: float) -> float:
        """Derivative of the kernel in c, at correlation 1 - distance; q E[phi'(x) phi'(y)] without jumps."""
        if distance == 0.0:
            return self.variance * self.slope_second
        if not self.smooth and distance < 1.0 - CLOSE:
            # Fourth-order central difference; the gap is a smooth function of log(distance).
            step = 0.02
            far, near = (
                (self.gap(distance * math.exp(k * step)) - self.gap(distance * math.exp(-k * step))) / (2 * k * step)
                for k in (2, 1)
            )
            return (4.0 * near - far) / (3.0 * distance)
        degree = np.arange(1, len(self.coefficients))
        powers = _power_minus_one(distance, len(self.coefficients) - 1) + 1.0
        return float((degree * self.coefficients[1:] ** 2) @ powers)


def kernel_of(function: Function, *, variance: float) -> Kernel:
    """Work out the kernel of a function.

    Args:
        function: phi, float64 array of shape (n,) in and out.
        variance: of both inputs, > 0.

    Raises:
        ArgumentError: if the function is not finite, elementwise, deterministic and piecewise smooth.
    """
    std = math.sqrt(variance)
    pieces = pieces_of(function, mean=0.0, std=std)
    samples = pieces.samples
    second = float(samples.probability @ samples.values**2)
    slope_second = math.inf if samples.slope_diverges else float(samples.probability @ samples.slopes**2)
    coefficients = _hermite(samples, std, second, slope_second * variance)
    rest = second - float(np.sum(coefficients**2))
    slope_rest = variance * slope_second - float(np.arange(len(coefficients)) @ coefficients**2)
    smooth = abs(rest) <= 10 * _NO_REST * second and abs(slope_rest) <= 10 * _NO_SLOPE_REST * variance * slope_second
    return Kernel(function, variance, coefficients, second, slope_second, pieces.kinks, smooth)


def correlation_map(activation: Activation, correlation: npt.ArrayLike, *, variance: float = 1.0) -> Array:
    r"""The cosine between a layer's outputs for two inputs whose pre-activations have a given correlation.

    .. math::  C(c) = E[\phi(x)\phi(y)] / E[\phi(x)^2], \quad x, y \sim N(0, q),\ \mathrm{corr}(x, y) = c

    Exact to about 1e-10 for every piecewise smooth function, kinks and c near 1 included. Weights without bias of any
    scale pass it on unchanged, so that C applied L times is what L wide layers do.

    Args:
        activation: a name, or a function of NumPy arrays or of a framework's tensors.
        correlation: c, from -1 to 1. Any shape.
        variance: q, of the pre-activations. > 0.

    Returns:
        C(c), of the shape of `correlation`.

    Raises:
        ArgumentError: if a correlation or the variance is out of range, or the function is zero everywhere.

    Limits:
        A function with more than 32 kinks (a quantizer) is good to 1e-3 for c above 0.98.

    Examples:
        >>> correlation_map("relu", [0.0, 0.5, 1.0]).round(9).tolist()
        [0.318309886, 0.608997781, 1.0]

    Source:
        Cho & Saul 2009, eq. 6 (relu), https://papers.nips.cc/paper/3628; Poole et al. 2016, eq. 5 (any function),
        https://arxiv.org/abs/1606.05340
    """
    variance = number(variance, caller="correlation_map", name="variance", above=0.0)
    c = np.asarray(correlation, dtype=np.float64)
    if not np.all(np.abs(c) <= 1.0):
        raise ArgumentError(message(f"correlation_map: correlation must lie within -1 and 1; got {correlation!r}."))
    curve = curve_of(activation, caller="correlation_map")
    kernel = kernel_of(curve.function, variance=variance)
    if kernel.second == 0.0:
        raise ArgumentError(message(f"correlation_map: activation must not be zero everywhere; got {curve.name}."))
    gaps = [kernel.gap(1.0 - each) for each in c.ravel().tolist()]
    return 1.0 - np.array(gaps).reshape(c.shape) / kernel.second


def covariance(activation: Activation, variances: tuple[float, float], correlation: float) -> float:
    r"""E[phi(x) phi(y)] of Gaussian inputs of two variances: a layer's step of a network's Gaussian-process kernel.

    .. math::  E[\phi(x)\phi(y)] = \sum_k a_k(q_x)\, a_k(q_y)\, c^k

    Args:
        activation: a name, or a function of NumPy arrays or of a framework's tensors.
        variances: of x and of y. > 0.
        correlation: c, from -1 to 1.

    Returns:
        The average. Exact to about 1e-10 for |c| <= 0.98 and for smooth functions.

    Raises:
        ArgumentError: if an argument is out of range.

    Limits:
        Near c = 1 the rest of the series is taken as the geometric mean of the two rests. That is exact for functions
        whose kinks are all at 0 (relu's family) and, for others, good to 1e-5.

    Examples:
        >>> round(covariance("relu", (1.0, 4.0), 0.5), 9)
        0.608997781

    Source:
        Lee et al. 2018, eq. 5, https://arxiv.org/abs/1711.00165
    """
    qx, qy = (number(q, caller="covariance", name="variances", above=0.0) for q in variances)
    correlation = number(correlation, caller="covariance", name="correlation", least=-1.0)
    if correlation > 1.0:
        raise ArgumentError(message(f"covariance: correlation must be at most 1; got {correlation!r}."))
    function = curve_of(activation, caller="covariance").function
    x, y = kernel_of(function, variance=qx), kernel_of(function, variance=qy)
    count = min(len(x.coefficients), len(y.coefficients))
    series = (x.coefficients[:count] * y.coefficients[:count]) @ (_power_minus_one(1.0 - correlation, count) + 1.0)
    return float(series) + math.sqrt(x.rest(1.0 - correlation) * y.rest(1.0 - correlation))


def _hermite(samples: Samples, std: float, second: float, slope_share: float) -> Array:
    """a_k for k < TERMS, or as many as make up all of E[phi^2] and of its derivative."""
    z = samples.x / std
    # h_k(z) is at most exp(z^2 / 4), so that nodes beyond this add nothing.
    heard = samples.probability * np.exp(z**2 / 4) > 1e-20
    z, weighted = z[heard], samples.probability[heard] * samples.values[heard]
    found = np.zeros(TERMS)
    before, now = np.zeros_like(z), np.ones_like(z)
    heard_second = heard_slope = 0.0
    for k in range(TERMS):
        found[k] = float(weighted @ now)
        before *= -math.sqrt(k)
        before += z * now
        before /= math.sqrt(k + 1)
        before, now = now, before
        heard_second += found[k] ** 2
        heard_slope += k * found[k] ** 2
        complete = abs(second - heard_second) <= _NO_REST * second
        if k % 16 == 15 and complete and abs(slope_share - heard_slope) <= _NO_SLOPE_REST * slope_share:
            return found[: k + 1]
    return found


def _power_minus_one(distance: float, count: int) -> Array:
    """c^k - 1 for k < count and c = 1 - distance, without cancellation near c = 1. Shape (count,)."""
    degree = np.arange(count)
    if distance < 1.0:
        return np.expm1(degree * math.log1p(-distance))
    return np.power(1.0 - distance, degree) - 1.0
