r"""Plain networks of infinite width: where the variance and the correlation of their signals go, layer by layer.

With weights of standard deviation sigma_w / sqrt(fan_in) and biases of standard deviation sigma_b,

    q  <-  V(q) = sigma_w^2 E[phi(sqrt(q) z)^2] + sigma_b^2              of one input
    c  <-  (sigma_w^2 E[phi(x) phi(y)] + sigma_b^2) / q                  of two inputs, x and y ~ N(0, q)

Poole et al. 2016, https://arxiv.org/abs/1606.05340; Schoenholz et al. 2017, https://arxiv.org/abs/1611.01232
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from penstock.errors import ArgumentError, message
from penstock.meanfield.functions import Activation, Curve, Point, curve_of, number
from penstock.meanfield.kernel import Kernel, kernel_of
from penstock.meanfield.roots import crossing, first_crossing

Phase = Literal["ordered", "edge of chaos", "chaotic"]

SMALLEST, LARGEST = 1e-10, 1e8
"""Variances between which fixed points are looked for; beyond, the signal counts as gone or as without bound."""

_STEP = 10**0.25  # of the search
_SAME = 1e-9  # a fixed point, or a slope of 1, to rounding
_CLOSEST = 1e-13  # two inputs that are nearer than that are one


@dataclass(frozen=True, slots=True)
class MeanField:
    """What becomes of signals and gradients in a deep, wide, plain network.

    Attributes:
        name: of the activation.
        weight_std: sigma_w, standard deviation of the weights times sqrt(fan_in).
        bias_std: sigma_b, of the biases.
        variance: q*, where the pre-activations' variance goes: 0 where the signal dies out, infinite where it
            grows without bound.
        variance_slope: V'(q*). Above 1 the fixed point is unstable: any deviation grows.
        correlation: c*, where the correlation of two different inputs goes: 1 where they become one. NaN where q* is 0
            or infinite.
        chi_1: sigma_w^2 E[phi'^2] at q*: growth of the squared gradient by layer, and of the distance of two inputs
            that are nearly equal.
        chi_c: slope of the correlation map at c*.
    """

    name: str
    weight_std: float
    bias_std: float
    variance: float
    variance_slope: float
    correlation: float
    chi_1: float
    chi_c: float

    @property
    def phase(self) -> Phase:
        """Ordered where inputs become alike and gradients vanish, chaotic where both grow apart and explode."""
        if abs(self.chi_1 - 1.0) <= 1e-6:
            return "edge of chaos"
        return "ordered" if self.chi_1 < 1.0 else "chaotic"

    @property
    def stable(self) -> bool:
        """Whether the variance comes back to q* after a small deviation, or stays where it is."""
        return abs(self.variance_slope) <= 1.0 + 1e-6

    @property
    def xi_q(self) -> float:
        """Layers in which a deviation of the variance falls (or, where unstable, grows) by a factor of e."""
        return scale(self.variance_slope)

    @property
    def xi_c(self) -> float:
        """Layers in which the deviation of a correlation from c* falls by a factor of e: -1 / log(chi_c)."""
        return scale(self.chi_c)

    @property
    def xi_gradient(self) -> float:
        """Layers in which the squared gradient falls or grows by a factor of e: 1 / |log(chi_1)|."""
        return scale(self.chi_1)

    def __str__(self) -> str:
        there = "" if self.stable else " (unstable)"
        return (
            f"{self.name}, sigma_w {self.weight_std:.6g}, sigma_b {self.bias_std:.6g}: {self.phase}, "
            f"q* {self.variance:.6g}{there}, c* {self.correlation:.6g}, chi_1 {self.chi_1:.6g}, "
            f"xi_q {self.xi_q:.4g}, xi_c {self.xi_c:.4g} layers"
        )


def scale(factor: float) -> float:
    """Layers in which something that changes by a factor a layer changes by e: 1 / |log factor|; infinite at 1.

    Examples:
        >>> round(scale(0.5), 6), scale(1.0), scale(0.0)
        (1.442695, inf, 0.0)
    """
    factor = abs(factor)
    if factor in (0.0, math.inf):
        return 0.0
    return math.inf if abs(factor - 1.0) <= _SAME else 1.0 / abs(math.log(factor))


def mean_field(
    activation: Activation | Curve, *, weight_std: float | None = None, bias_std: float = 0.0, variance: float = 1.0
) -> MeanField:
    r"""The fixed points that a plain network's signals go to, and how fast.

    .. math::
        \chi_1 = \sigma_w^2 E[\phi'(\sqrt{q^*} z)^2], \quad \xi_c = -1 / \log \chi_c, \quad \xi_q = -1 / \log |V'(q^*)|

    Args:
        activation: a name, or a function of NumPy arrays or of a framework's tensors.
        weight_std: sigma_w, standard deviation of the weights times sqrt(fan_in). Default: the exact gain that holds
            `variance`, sqrt((variance - sigma_b^2) / E[phi^2]).
        bias_std: sigma_b. >= 0.
        variance: of the first pre-activations. Where the variance map has several fixed points, q* is the one that
            the variance moves to from here.

    Returns:
        q*, c*, chi_1 and the depth scales. Exact to about 1e-10.

    Raises:
        ArgumentError: if an argument is out of range, or the activation is constantly zero.

    Limits:
        q* is followed by the sign of V(q) - q, which is where iteration ends if V rises there. Where V falls steeply
        (V' < -1) the variance swings around q*; `stable` then is False.

    Examples:
        >>> found = mean_field("tanh", weight_std=1.5**0.5, bias_std=0.05**0.5)
        >>> round(found.variance, 9), round(found.chi_1, 9), round(found.xi_c, 6), found.phase
        (0.418037201, 0.938636268, 15.790994, 'ordered')
        >>> print(mean_field("relu"))
        relu, sigma_w 1.41421, sigma_b 0: edge of chaos, q* 1, c* 1, chi_1 1, xi_q inf, xi_c inf layers

    Source:
        Poole et al. 2016, eq. 3 to 6, https://arxiv.org/abs/1606.05340; Schoenholz et al. 2017, eq. 7 to 10 (depth
        scales), https://arxiv.org/abs/1611.01232
    """
    curve = curve_of(activation, caller="mean_field")
    variance = number(variance, caller="mean_field", name="variance", above=0.0)
    bias_std = number(bias_std, caller="mean_field", name="bias_std", least=0.0)
    if weight_std is None:
        weight_std = exact_weight_std(curve, variance=variance, bias_std=bias_std)
    weight_std = number(weight_std, caller="mean_field", name="weight_std", least=0.0)
    end = _variance_from(variance, curve, weight_std, bias_std)
    point = _average(curve, end)
    chi_1, variance_slope = weight_std**2 * point.slope_second, weight_std**2 * point.growth
    if not 0.0 < end < math.inf:
        return MeanField(curve.name, weight_std, bias_std, end, variance_slope, math.nan, chi_1, math.nan)
    kernel = kernel_of(curve.function, variance=end)
    apart = _distance(kernel, weight_std**2 / end)
    chi_c = chi_1 if apart == 0.0 else weight_std**2 / end * kernel.slope(apart)
    return MeanField(curve.name, weight_std, bias_std, end, variance_slope, 1.0 - apart, chi_1, chi_c)


def exact_weight_std(curve: Curve, *, variance: float, bias_std: float) -> float:
    """sigma_w that holds a variance: sqrt((q - sigma_b^2) / E[phi^2]).

    Raises:
        ArgumentError: if the biases alone give more than that, or there is no signal to hold.

    Examples:
        >>> from penstock.meanfield.functions import curve_of
        >>> round(exact_weight_std(curve_of("relu", caller="mean_field"), variance=1.0, bias_std=0.0), 6)
        1.414214
    """
    second = curve.at(variance).second
    if second == 0.0 or bias_std**2 > variance:
        why = "is constantly zero" if second == 0.0 else f"has a bias variance above {variance:g}"
        raise ArgumentError(
            message(
                f"mean_field: weight_std must be given; the exact one does not exist: {curve.name} {why}.",
                hint="penstock.meanfield.mean_field('tanh', weight_std=1.0, bias_std=0.1)",
            )
        )
    return math.sqrt((variance - bias_std**2) / second)


def _variance_from(start: float, curve: Curve, weight_std: float, bias_std: float) -> float:
    """The fixed point of the variance map that lies in the direction in which it moves from `start`."""

    def moved(log_q: float) -> float:
        """(V(q) - q) / q: how far one layer moves the variance."""
        q = math.exp(log_q)
        return (weight_std**2 * curve.at(q).second + bias_std**2) / q - 1.0

    first = moved(math.log(start))
    if abs(first) <= _SAME:
        return start
    up = first > 0.0
    steps = math.ceil(abs(math.log((LARGEST if up else SMALLEST) / start)) / math.log(_STEP))
    step = math.log(_STEP) if up else -math.log(_STEP)
    found = first_crossing(moved, (math.log(start) + step * np.arange(steps + 1)).tolist())
    if found is None:
        return math.inf if up else 0.0
    return math.exp(found)


def _average(curve: Curve, variance: float) -> Point:
    """The averages at a variance; the limits at 0 and at infinity are read off from where there are averages still."""
    if 0.0 < variance < math.inf:
        return curve.at(variance)
    exponents = range(-10, 1) if variance == 0.0 else range(8, -1, -1)
    for exponent in exponents[:-1]:
        try:
            return curve.at(10.0**exponent)
        except ArgumentError:  # nothing but rounding so near to 0, or an overflow so far out
            continue
    return curve.at(1.0)


def _distance(kernel: Kernel, factor: float) -> float:
    """1 - c*: the distance of two inputs that one layer neither lengthens nor shortens; 0 where all become one.

    The kernel is a power series with positive coefficients, so that gap(e) / e falls as e rises: one root at most.
    """

    def stretched(log_distance: float) -> float:
        distance = math.exp(log_distance)
        return factor * kernel.gap(distance) / distance - 1.0

    if stretched(math.log(_CLOSEST)) <= 1e-8:
        return 0.0
    at_one = stretched(0.0)
    if at_one >= -1e-14:
        return 1.0
    return math.exp(crossing(stretched, math.log(_CLOSEST), 0.0))
