"""Siren: uniform weights for networks of sines, which represent images, sound and fields."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.randomness import Window, fill
from penstock.randomness.transforms import UNIFORM_STD
from penstock.recipes.recipe import Moments, Recipe, finite
from penstock.recipes.structured import described


@final
@dataclass(frozen=True, slots=True)
class Siren(Recipe):
    r"""Weights of a layer y = sin(omega * (W x + b)).

    .. math::  w \sim U(\pm 1 / n) \text{ (first)}, \quad w \sim U(\pm \sqrt{6 / n} / \omega) \text{ (others)}

    with n = fan_in. omega * W x then has variance 1 where the inputs are sines of wide arguments (variance 1/2).
    Exactly, the variance of omega * W x goes from q to 1 - exp(-2 q) by layer and settles at 0.7968, without the
    biases: the published code leaves these at U(+-1 / sqrt(n)), which omega multiplies by 30 too.

    Attributes:
        first: whether the layer reads coordinates in -1..1.
        omega: the factor inside the sine; plays no part in the first layer's law. > 0.
        gain: multiplies the bound.

    Examples:
        >>> Siren().bound(Geometry((256, 256), in_axes=(1,), out_axes=(0,))) == (6 / 256) ** 0.5 / 30
        True
    """

    first: bool = False
    omega: float = 30.0
    gain: float = 1.0

    name: ClassVar[str] = "siren"
    formula: ClassVar[str] = "w ~ U(+-1/fan_in) in the first layer, U(+-sqrt(6/fan_in)/omega) in the others"
    when: ClassVar[str] = "networks of sines over coordinates"
    source: ClassVar[str] = "Sitzmann et al. 2020, section 3.2 and supplement 1.5, arXiv:2006.09661"

    def __post_init__(self) -> None:
        object.__setattr__(self, "first", bool(self.first))
        object.__setattr__(self, "omega", finite("Siren", "omega", self.omega, at_least=1e-30))
        object.__setattr__(self, "gain", finite("Siren", "gain", self.gain, at_least=0.0))

    def bound(self, geometry: Geometry) -> float:
        """The largest magnitude."""
        fan_in = geometry.fans.fan_in
        if fan_in == 0:
            return 0.0
        return self.gain * (1.0 / fan_in if self.first else math.sqrt(6.0 / fan_in) / self.omega)

    def moments(self, geometry: Geometry) -> Moments:
        """0 and bound / sqrt(3)."""
        return Moments(0.0, self.bound(geometry) * UNIFORM_STD)

    def limit(self, geometry: Geometry) -> float:
        """The bound."""
        return self.bound(geometry)

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """Bound times a value uniform on (-1, 1)."""
        return fill("uniform", geometry.shape, key, window=window, scale=self.bound(geometry))

    def scaled(self, factor: float) -> Siren:
        """The same with factor * gain."""
        return replace(self, gain=finite("Siren.scaled", "factor", factor, at_least=0.0) * self.gain)

    def describe(self) -> str:
        """E.g. "siren(first=False, omega=30, gain=1)"."""
        return described(self)
