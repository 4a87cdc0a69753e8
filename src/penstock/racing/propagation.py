"""Means and variances that are propagated through a graph: what an analytic start scales its weights by.

Every contraction's output is made to have mean 0 and variance 1; what lies between two of them is followed by its
moments, with signals taken as independent and Gaussian.

Source:
    Bingham & Miikkulainen 2021, "AutoInit", https://arxiv.org/abs/2109.08958
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from penstock.graph import Node, ScalarFunction
from penstock.signals import Measured


class Law(NamedTuple):
    """Mean and variance of a signal's elements."""

    mean: float
    variance: float

    @property
    def second(self) -> float:
        """E[x^2]."""
        return self.variance + self.mean**2


UNIT = Law(0.0, 1.0)

_Z = np.linspace(-8.0, 8.0, 4001)
_WEIGHTS = np.exp(-0.5 * _Z**2)
_WEIGHTS /= _WEIGHTS.sum()
"""Sums over this grid give E[f(z)], z ~ N(0, 1), to 1e-6 also for functions with a kink."""


def incoming_seconds(measured: Measured) -> dict[str, float]:
    """For each weight, E[x^2] of the signal that it multiplies, at the first place where it is used.

    Weights drawn with variance 1 / (fan_in E[x^2]) give outputs of variance 1.
    """
    laws: list[Law] = []
    found: dict[str, float] = {}
    for node in measured.graph.nodes:
        sources = [laws[i] for i in node.inputs]
        if node.kind == "contraction" and node.parameters and sources:
            found.setdefault(node.parameters[0], sources[0].second)
        laws.append(_law(node, sources, measured))
    return {name: second for name, second in found.items() if math.isfinite(second) and second > 0.0}


def _law(node: Node, sources: list[Law], measured: Measured) -> Law:
    stats = measured.parameters.get(node.parameters[0]) if node.parameters else None
    if node.kind == "input" or not sources or (stats is not None and stats.role == "embedding"):
        return _as_measured(node, measured)
    if node.kind in {"contraction", "norm"}:
        return UNIT
    if node.kind == "pointwise" and node.function is not None:
        return function_law(node.function, sources[0])
    if node.kind == "sum":
        return Law(sum(s.mean for s in sources), sum(s.variance for s in sources))
    if node.kind == "gate":
        mean, second = math.prod(s.mean for s in sources), math.prod(s.second for s in sources)
    else:  # of what is laid side by side, the average; of one signal that is moved or pooled, itself
        mean, second = sum(s.mean for s in sources) / len(sources), sum(s.second for s in sources) / len(sources)
    return Law(mean, second - mean**2)


def function_law(function: ScalarFunction, source: Law) -> Law:
    """Mean and variance of f(x), x Gaussian.

    Examples:
        >>> law = function_law(lambda x: np.maximum(x, 0.0), UNIT)
        >>> round(law.mean, 4), round(law.second, 4)
        (0.3989, 0.5)
    """
    with np.errstate(all="ignore"):
        values = np.asarray(function(source.mean + math.sqrt(max(source.variance, 0.0)) * _Z), dtype=np.float64)
        mean = float(_WEIGHTS @ values)
        return Law(mean, float(_WEIGHTS @ (values - mean) ** 2))


def _as_measured(node: Node, measured: Measured) -> Law:
    signal = measured.signals[node.index]
    if signal is None or not math.isfinite(signal.rms) or signal.rms <= 0.0:
        return UNIT
    return Law(signal.mean, max(signal.rms**2 - signal.mean**2, 0.0))
