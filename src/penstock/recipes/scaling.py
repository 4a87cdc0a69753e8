"""VarianceScaling: independent elements whose spread follows from a fan; the named rules are its special cases."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, closest, message
from penstock.geometry import Fans, Geometry
from penstock.randomness import Distribution, Window, fill
from penstock.randomness.transforms import TRUNCATED_CUT, TRUNCATED_STD, UNIFORM_STD
from penstock.recipes.recipe import Moments, Recipe, finite

Mode = Literal["fan_in", "fan_out", "fan_avg", "fan_geo"]

_MEANS: dict[str, Callable[[Fans], float]] = {
    "fan_in": lambda fans: fans.fan_in,
    "fan_out": lambda fans: fans.fan_out,
    "fan_avg": lambda fans: (fans.fan_in + fans.fan_out) / 2,
    "fan_geo": lambda fans: math.sqrt(fans.fan_in * fans.fan_out),
}
# Standard deviation of the raw values of each distribution.
_RAW_STD: dict[str, float] = {"normal": 1.0, "truncated_normal": TRUNCATED_STD, "uniform": UNIFORM_STD}
_RAW_LIMIT: dict[str, float] = {"normal": math.inf, "truncated_normal": TRUNCATED_CUT, "uniform": 1.0}


@final
@dataclass(frozen=True, slots=True)
class VarianceScaling(Recipe):
    """Independent elements with std = gain / sqrt(fan).

    With "fan_in" an input of RMS 1 gives an output of RMS `gain`; with "fan_out" the same holds of gradients, backward;
    "fan_avg" and "fan_geo" lie between. Assumes zero-mean weights that do not depend on the input, and no bias.

    Attributes:
        gain: RMS out over RMS in: 1 / sqrt(E[phi(z)^2]) of the function phi that feeds this layer, >= 0.
        mode: which fan, or which mean of both.
        distribution: the law; the standard deviation is the same for all three.

    Examples:
        >>> VarianceScaling(2.0**0.5).describe()
        'fan_in normal(gain=1.414)'
        >>> VarianceScaling(1.0).std(Geometry((8, 4), in_axes=(1,), out_axes=(0,)))
        0.5
    """

    gain: float
    mode: Mode = "fan_in"
    distribution: Distribution = "normal"

    name: ClassVar[str] = "variance_scaling"
    formula: ClassVar[str] = "std(w) = gain / sqrt(fan)"
    when: ClassVar[str] = "weights of linear layers and convolutions: keeps the signal's RMS through a layer"
    source: ClassVar[str] = "LeCun 1998, section 4.6; Glorot & Bengio 2010, eq. 12; He et al. 2015, eq. 10 and 14"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("VarianceScaling", "gain", self.gain, at_least=0.0))
        for argument, choices in (("mode", _MEANS), ("distribution", _RAW_STD)):
            value = getattr(self, argument)
            if value not in choices:
                fact = f"VarianceScaling: {argument} must be one of the known ones; got {value!r}."
                raise ArgumentError(message(fact, hint=closest(str(value), choices)))

    def moments(self, geometry: Geometry) -> Moments:
        """0 and gain / sqrt(fan)."""
        fan = _MEANS[self.mode](geometry.fans)
        return Moments(0.0, self.gain / math.sqrt(fan) if fan else 0.0)

    def limit(self, geometry: Geometry) -> float:
        """Of the uniform law sqrt(3) std, of the truncated one 2 std / 0.8796; else infinite."""
        std = self.std(geometry)
        return std / _RAW_STD[self.distribution] * _RAW_LIMIT[self.distribution] if std else 0.0

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """Independent values with the standard deviation of `moments`."""
        scale = self.std(geometry) / _RAW_STD[self.distribution]
        return fill(self.distribution, geometry.shape, key, window=window, scale=scale)

    def scaled(self, factor: float) -> VarianceScaling:
        """The same with factor * gain."""
        return replace(self, gain=finite("VarianceScaling.scaled", "factor", factor, at_least=0.0) * self.gain)

    def describe(self) -> str:
        """E.g. "fan_in normal(gain=1.414)"."""
        return f"{self.mode} {self.distribution}(gain={self.gain:.4g})"


def he_normal(*, negative_slope: float = 0.0, mode: Mode = "fan_in") -> VarianceScaling:
    """He's rule: keeps E[x^2] through layers fed by (leaky) ReLU. std = sqrt(2 / ((1 + a^2) fan)).

    Args:
        negative_slope: a, the slope for negative inputs.
        mode: "fan_in" keeps the forward signal, "fan_out" the gradient.

    Examples:
        >>> he_normal().std(Geometry((8, 512), in_axes=(1,), out_axes=(0,)))
        0.0625

    Source:
        He, Zhang, Ren, Sun 2015, eq. 10, 14 and 15, https://arxiv.org/abs/1502.01852
    """
    return VarianceScaling(_leaky_gain(negative_slope), mode, "normal")


def he_uniform(*, negative_slope: float = 0.0, mode: Mode = "fan_in") -> VarianceScaling:
    """`he_normal` with uniform elements: bound sqrt(6 / ((1 + a^2) fan))."""
    return VarianceScaling(_leaky_gain(negative_slope), mode, "uniform")


def glorot_normal(*, gain: float = 1.0) -> VarianceScaling:
    """Glorot's rule: between keeping the signal and keeping the gradient. std = gain sqrt(2 / (fan_in + fan_out)).

    Source:
        Glorot & Bengio 2010, eq. 12; the law is normal here, uniform in the paper.
    """
    return VarianceScaling(gain, "fan_avg", "normal")


def glorot_uniform(*, gain: float = 1.0) -> VarianceScaling:
    """Glorot's rule with uniform elements: bound gain sqrt(6 / (fan_in + fan_out)).

    Source:
        Glorot & Bengio 2010, eq. 16
    """
    return VarianceScaling(gain, "fan_avg", "uniform")


def lecun_normal(*, gain: float = 1.0) -> VarianceScaling:
    """LeCun's rule: keeps the RMS through linear layers and SELU. std = gain / sqrt(fan_in).

    Not truncated, unlike Keras's and JAX's function of this name.

    Source:
        LeCun, Bottou, Orr, Müller 1998, eq. 16; Klambauer et al. 2017 for SELU
    """
    return VarianceScaling(gain, "fan_in", "normal")


def lecun_uniform(*, gain: float = 1.0) -> VarianceScaling:
    """`lecun_normal` with uniform elements: bound gain sqrt(3 / fan_in)."""
    return VarianceScaling(gain, "fan_in", "uniform")


def _leaky_gain(negative_slope: float) -> float:
    return math.sqrt(2.0 / (1.0 + finite("he", "negative_slope", negative_slope) ** 2))
