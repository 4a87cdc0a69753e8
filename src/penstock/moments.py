"""Gaussian moments of a scalar function: what an activation does to the mean and the size of its input."""

from __future__ import annotations

import math
from dataclasses import dataclass

from penstock.errors import ArgumentError, message
from penstock.quadrature import Function, sample_gaussian

# Below these shares of the second moment a variance, or a squared slope times the input's variance, is rounding alone.
_NO_VARIANCE = 1e-28
_NO_SLOPE = 1e-22


@dataclass(frozen=True, slots=True)
class Moments:
    r"""Averages of a function phi over x ~ N(input_mean, input_variance).

    Gains are infinite where the moment that they undo is zero: no weight brings back a signal that is not there.

    Attributes:
        mean: E[phi].
        second: E[phi^2].
        variance: Var[phi] = E[phi^2] - E[phi]^2, computed without that subtraction.
        slope_mean: E[phi'], with phi' taken almost everywhere (a jump does not count).
        slope_second: E[phi'^2]; infinite where the integral diverges.
        linear_slope: E[(x - input_mean) phi] / input_variance, the slope of the best straight line through phi. By
            Stein's lemma equal to `slope_mean` for a function without jumps.
        input_variance, input_mean: of x.
    """

    mean: float
    second: float
    variance: float
    slope_mean: float
    slope_second: float
    linear_slope: float
    input_variance: float = 1.0
    input_mean: float = 0.0

    @property
    def gain_forward(self) -> float:
        """1 / sqrt(E[phi^2]): weight std times sqrt(fan_in) that gives the next layer's pre-activations variance 1."""
        return _inverse_root(self.second)

    @property
    def gain_variance(self) -> float:
        """1 / sqrt(Var[phi]): as `gain_forward`, where the mean is removed (a norm, a centring bias)."""
        return _inverse_root(self.variance)

    @property
    def gain_backward(self) -> float:
        """1 / sqrt(E[phi'^2]): weight std times sqrt(fan_out) that keeps the gradient's second moment."""
        return _inverse_root(self.slope_second)

    @property
    def chi_1(self) -> float:
        """Growth of the gradient's second moment by layer when the forward signal is held at this variance.

        sigma_w^2 E[phi'^2], where sigma_w^2 = input_variance / E[phi^2] holds the pre-activations at `input_variance`
        without a bias. At variance 1 sigma_w is `gain_forward`. NaN for a function that is zero everywhere.
        """
        if self.second == 0:
            return math.nan
        return self.input_variance * self.slope_second / self.second

    @property
    def mean_share(self) -> float:
        """E[phi]^2 / E[phi^2], the cosine between the outputs of two unrelated inputs. NaN for a zero function."""
        return self.mean**2 / self.second if self.second else math.nan


def moments(function: Function, *, variance: float = 1.0, mean: float = 0.0) -> Moments:
    r"""Measure a scalar function under a Gaussian input: its mean, second moment, variance and slopes.

    .. math::  E[f(x)] = \int f(x)\, e^{-(x-\mu)^2 / 2q} / \sqrt{2 \pi q}\; dx

    Exact to about 1e-10 of the largest moment for any piecewise smooth function, wherever its kinks and jumps are. No
    derivative is asked for: it comes from the polynomial that goes through the function on each smooth piece.

    Args:
        function: phi, from a float64 array of shape (n,) to an array of that shape, elementwise.
        variance: q, the variance of its input. > 0.
        mean: mu, the mean of its input.

    Returns:
        The moments and the gains that follow from them.

    Raises:
        ArgumentError: if `variance` is not positive, or the function is not finite, elementwise and deterministic.

    Examples:
        >>> import numpy as np
        >>> relu = moments(lambda x: np.maximum(x, 0.0))
        >>> round(relu.second, 9), round(relu.gain_forward, 9)
        (0.5, 1.414213562)
        >>> round(moments(np.tanh).chi_1, 9)
        1.177807232

    Source:
        He et al. 2015, section 2.2 (second moments), https://arxiv.org/abs/1502.01852. chi_1: Schoenholz et al. 2017,
        eq. 5 there, https://arxiv.org/abs/1611.01232.
    """
    if not callable(function):
        raise ArgumentError(
            message(
                f"moments: function must be callable; got {function!r}.",
                hint="penstock.gain('relu'), for an activation by name",
            )
        )
    variance = _number("variance", variance)
    mean = _number("mean", mean)
    if variance <= 0:
        raise ArgumentError(message(f"moments: variance must be positive; got {variance}."))
    samples = sample_gaussian(function, mean=mean, std=math.sqrt(variance))
    p, values, slopes = samples.probability, samples.values, samples.slopes
    first = float(p @ values)
    second = float(p @ values**2)
    spread = float(p @ (values - first) ** 2)
    slope_mean, slope_second = float(p @ slopes), float(p @ slopes**2)
    if slope_second * variance <= _NO_SLOPE * second:
        slope_mean = slope_second = 0.0
    return Moments(
        mean=first,
        second=second,
        variance=spread if spread > _NO_VARIANCE * second else 0.0,
        slope_mean=slope_mean,
        slope_second=math.inf if samples.slope_diverges else slope_second,
        linear_slope=float(p @ ((samples.x - mean) * (values - first))) / variance,
        input_variance=variance,
        input_mean=mean,
    )


def _inverse_root(moment: float) -> float:
    """1 / sqrt(moment), infinite at zero."""
    return 1.0 / math.sqrt(moment) if moment > 0 else math.inf


def _number(name: str, value: float) -> float:
    """A finite float, or an error that names the argument."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ArgumentError(message(f"moments: {name} must be a number; got {value!r}.")) from None
    if not math.isfinite(number):
        raise ArgumentError(message(f"moments: {name} must be finite; got {number}."))
    return number
