"""Gains for narrow networks: what keeps the expected logarithm of the signal's norm, not only of its square."""

from __future__ import annotations

import math
from typing import Literal

from penstock.recipes.arguments import count, one_of
from penstock.recipes.entry import CatalogueEntry

_EULER = 0.57721566490153286061


def random_walk_gain(width: int, *, activation: Literal["linear", "relu"] = "relu") -> float:
    r"""The gain g of Gaussian weights g / sqrt(width) with which E[log |h|] stays the same from layer to layer.

    .. math::  \log g = -\tfrac12 E\!\left[\psi(M / 2) + \log(2 / n)\right],
        \quad M = n \text{ (linear)}, \; M \sim \mathrm{Bin}(n, \tfrac12) \mid M \geq 1 \text{ (ReLU)}

    The square's mean is kept by 1 and sqrt(2) instead, but in a narrow deep network the typical signal lies far below
    the
    mean: its logarithm is a random walk with a drift of about -1 / n (linear) a layer, which g removes.

    Args:
        width: n, units of each layer. >= 1.
        activation: what stands between the layers.

    Returns:
        g. RMS out over RMS in, in the mean of logarithms.

    Examples:
        >>> round(random_walk_gain(64, activation="linear"), 9), round(random_walk_gain(64), 9)
        (1.007884103, 1.442860916)

    Source:
        Sussillo & Abbott 2014, https://arxiv.org/abs/1412.6558; here the exact mean instead of their fit.
    """
    n = count("random_walk_gain", "width", width)
    one_of("random_walk_gain", "activation", activation, ("linear", "relu"))
    if activation == "linear":
        return math.exp(-0.5 * (_digamma_of_half(n) + math.log(2.0 / n)))
    # Weights of the binomial law, by logarithms so that no power overflows.
    logs = [math.lgamma(n + 1) - math.lgamma(m + 1) - math.lgamma(n - m + 1) for m in range(1, n + 1)]
    weights = [math.exp(value - n * math.log(2.0)) for value in logs]
    mean = sum(w * _digamma_of_half(m) for m, w in enumerate(weights, start=1)) / sum(weights)
    return math.exp(-0.5 * (mean + math.log(2.0 / n)))


def _digamma_of_half(m: int) -> float:
    """psi(m / 2), by its recurrence for small arguments and the asymptotic series for large ones."""
    x, total = m / 2.0, 0.0
    if x < 8.0:
        start = 0.5 if m % 2 else 1.0
        total = -_EULER - (2.0 * math.log(2.0) if m % 2 else 0.0)
        return total + sum(1.0 / (start + k) for k in range(round(x - start)))
    square = 1.0 / (x * x)
    series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square * (1 / 240 - square * (1 / 132)))))
    return math.log(x) - 0.5 / x - series


ENTRIES = (
    CatalogueEntry(
        "random_walk_gain",
        "log g = -E[psi(M/2) + log(2/n)] / 2, M = n or Bin(n, 1/2)",
        "deep and narrow plain networks",
        "Sussillo & Abbott 2014, arXiv:1412.6558",
        "named rule",
    ),
)
