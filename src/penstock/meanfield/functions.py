"""The scalar function behind what a user calls an activation, and how it looks to Gaussian inputs of any variance."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from penstock.activations import canonical, named
from penstock.errors import ArgumentError, message
from penstock.frameworks import find_adapter
from penstock.quadrature import Function, sample_gaussian

Activation = str | Callable[[Any], Any]
"""A name, or a function of NumPy arrays or of a loaded framework's tensors."""


@dataclass(frozen=True, slots=True)
class Point:
    """Averages of phi over x ~ N(0, q), with z = x / sqrt(q).

    Attributes:
        second: E[phi^2].
        slope_second: E[phi'^2], almost everywhere; infinite where the integral diverges.
        growth: d E[phi^2] / d q = E[phi^2 (z^2 - 1)] / 2q. By Stein's lemma E[x phi phi'] / q, jumps counted.
    """

    second: float
    slope_second: float
    growth: float


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A function with its averages by input variance, each worked out once.

    Attributes:
        function: phi, float64 array of shape (n,) in and out.
        name: for people.
    """

    function: Function
    name: str
    _points: dict[float, Point] = field(default_factory=dict, repr=False)

    def at(self, variance: float) -> Point:
        """The averages at one input variance.

        Raises:
            ArgumentError: if the function is not finite, elementwise, deterministic and piecewise smooth there.
        """
        if variance not in self._points:
            self._points[variance] = self._average(variance)
        return self._points[variance]

    def _average(self, variance: float) -> Point:
        with np.errstate(over="ignore", invalid="ignore"):
            samples = sample_gaussian(self.function, mean=0.0, std=math.sqrt(variance))
            square = samples.values**2
            second = float(samples.probability @ square)
            slope = float(samples.probability @ samples.slopes**2)
            growth = float(samples.probability @ ((square - second) * (samples.x**2 / variance - 1.0)))
        if not math.isfinite(second) or not math.isfinite(growth):
            raise ArgumentError(message(f"moments: {self.name} overflows at an input variance of {variance:.3g}."))
        return Point(second, math.inf if samples.slope_diverges else slope, growth / (2.0 * variance))


def curve_of(activation: Activation | Curve, *, caller: str) -> Curve:
    """The function that an activation stands for; of a named one the work that was done before is kept.

    Raises:
        ArgumentError: if the name is not known, or this is neither a name nor callable.
        UnsupportedError: if it is a function of a vector.

    Examples:
        >>> curve_of("swish", caller="gain").name
        'silu'
    """
    if isinstance(activation, Curve):
        return activation
    if isinstance(activation, str):
        return _named_curve(canonical(activation))
    if not callable(activation):
        raise ArgumentError(
            message(
                f"{caller}: activation must be a name or a callable; got {activation!r}.",
                hint=f"penstock.meanfield.{caller}('tanh')",
            )
        )
    adapter = find_adapter(activation)
    if adapter is not None:
        return Curve(*adapter.scalar_function(activation))
    return Curve(activation, getattr(activation, "__name__", type(activation).__name__))


@functools.lru_cache(maxsize=64)
def _named_curve(name: str) -> Curve:
    return Curve(named(name), name)


def number(value: float, *, caller: str, name: str, least: float = -math.inf, above: float = -math.inf) -> float:
    """A finite float that is at least `least` and larger than `above`, or an error that names the argument.

    Examples:
        >>> number(1, caller="f", name="zeta", above=0.0)
        1.0
    """
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if math.isfinite(found) and found >= least and found > above:
        return found
    bound = f" above {above:g}" if above > -math.inf else f" of at least {least:g}" if least > -math.inf else ""
    raise ArgumentError(message(f"{caller}: {name} must be a finite number{bound}; got {value!r}."))
