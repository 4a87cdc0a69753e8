"""Spectral: Gaussian weights whose largest singular value is of the order sqrt(out / in)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.randomness import Window, fill
from penstock.recipes.recipe import Moments, Recipe, finite


@final
@dataclass(frozen=True, slots=True)
class Spectral(Recipe):
    r"""Independent normal elements under the spectral condition for feature learning.

    .. math::  \sigma = \mathrm{gain}\; n_{in}^{-1/2} \min(1, \sqrt{n_{out} / n_{in}})

    so that the spectral norm is of the order sqrt(fan_out / fan_in) at every width. `Modular` has it exactly.

    Attributes:
        gain: >= 0.

    Examples:
        >>> Spectral().std(Geometry((16, 64), in_axes=(1,), out_axes=(0,)))
        0.0625
    """

    gain: float = 1.0

    name: ClassVar[str] = "spectral"
    formula: ClassVar[str] = "std(w) = gain / sqrt(fan_in) min(1, sqrt(fan_out / fan_in))"
    when: ClassVar[str] = "learning rates that should carry over from narrow to wide networks"
    source: ClassVar[str] = "Yang, Simon, Bernstein 2023, arXiv:2310.17813"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("Spectral", "gain", self.gain, at_least=0.0))

    def moments(self, geometry: Geometry) -> Moments:
        """0 and the formula's sigma."""
        fans = geometry.fans
        if fans.fan_in == 0:
            return Moments(0.0, 0.0)
        return Moments(0.0, self.gain / math.sqrt(fans.fan_in) * min(1.0, math.sqrt(fans.fan_out / fans.fan_in)))

    def limit(self, geometry: Geometry) -> float:
        """Infinite; values drawn end at 6.4 std."""
        return math.inf if self.std(geometry) else 0.0

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """Independent normal values."""
        return fill("normal", geometry.shape, key, window=window, scale=self.std(geometry))

    def scaled(self, factor: float) -> Spectral:
        """Spectral(factor * gain)."""
        return replace(self, gain=finite("Spectral.scaled", "factor", factor, at_least=0.0) * self.gain)

    def describe(self) -> str:
        """E.g. "spectral(gain=1)"."""
        return f"spectral(gain={self.gain:.4g})"
