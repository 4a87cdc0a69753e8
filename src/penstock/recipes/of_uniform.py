"""Base of the recipes whose elements are independent, each a function of one uniform number."""

from __future__ import annotations

import functools
from abc import abstractmethod
from dataclasses import replace
from typing import Self

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.randomness import Window, fill
from penstock.recipes.recipe import Moments, Recipe, finite
from penstock.recipes.structured import described

_NODES = 128
"""Gauss-Legendre nodes of the moments: with the substitution below, 1e-9 for laws with a logarithm at either end."""


@functools.cache
def _quadrature() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Nodes and weights on (0, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    s = (nodes + 1.0) / 2.0
    # This step function crowds the nodes at both ends, where a logarithm may have its pole.
    return s**3 * (10.0 - 15.0 * s + 6.0 * s**2), weights / 2.0 * 30.0 * (s * (1.0 - s)) ** 2


class OfUniform(Recipe):
    """Independent elements gain * quantile(u), u uniform on (0, 1).

    Limits: logarithms and exponentials are the platform's, in float64 and then rounded once, so an element may differ
    in its last bit between platforms, about once in 1e8.
    """

    __slots__ = ()
    gain: float

    @abstractmethod
    def quantile(self, u: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The value below which a share u of all elements lies, or above which, for gain 1."""

    def moments(self, geometry: Geometry) -> Moments:
        """Integrals of the quantile function, by Gauss-Legendre quadrature."""
        u, weight = _quadrature()
        values = self.quantile(u)
        mean = float(weight @ values)
        return Moments(self.gain * mean, self.gain * float(np.sqrt(weight @ (values - mean) ** 2)))

    def limit(self, geometry: Geometry) -> float:
        """The quantile at either end; infinite where a logarithm has its pole."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.abs(self.quantile(np.array([0.0, 1.0])))
        return abs(self.gain) * float(ends.max()) if self.gain else 0.0

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """The quantile function of uniform values, computed in float64 and rounded once."""
        raw = fill("uniform", geometry.shape, key, window=window)
        return (self.gain * self.quantile((raw.astype(np.float64) + 1.0) / 2.0)).astype(np.float32)

    def scaled(self, factor: float) -> Self:
        """The same with factor * gain."""
        factor = finite(f"{type(self).__name__}.scaled", "factor", factor, at_least=0.0)
        return replace(self, gain=factor * self.gain)

    def describe(self) -> str:
        """The name and the fields."""
        return described(self)
