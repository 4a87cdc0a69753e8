"""Normal: independent Gaussian elements of a given standard deviation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.randomness import Window, fill
from penstock.recipes.recipe import Moments, Recipe, finite


@final
@dataclass(frozen=True, slots=True)
class Normal(Recipe):
    """Independent elements from N(mean, sigma^2), whatever the shape.

    Attributes:
        sigma: standard deviation of one element, >= 0.
        mean: mean of one element.

    Examples:
        >>> Normal(0.02).describe()
        'normal(std=0.02)'
    """

    sigma: float
    mean: float = 0.0

    name: ClassVar[str] = "normal"
    formula: ClassVar[str] = "w ~ N(mean, sigma^2)"
    when: ClassVar[str] = "a standard deviation that a paper or a checkpoint prescribes, e.g. 0.02 for transformers"
    source: ClassVar[str] = "sigma = 0.02: Radford et al. 2018 (GPT), model specifications"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", finite("Normal", "sigma", self.sigma, at_least=0.0))
        object.__setattr__(self, "mean", finite("Normal", "mean", self.mean))

    def moments(self, geometry: Geometry) -> Moments:
        """The mean and sigma."""
        return Moments(self.mean, self.sigma)

    def limit(self, geometry: Geometry) -> float:
        """Infinite; values drawn end at 6.4 sigma from the mean."""
        return math.inf if self.sigma else abs(self.mean)

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """Values mean + sigma z, with tails out to 6.3 sigma."""
        return fill("normal", geometry.shape, key, window=window, scale=self.sigma, shift=self.mean)

    def scaled(self, factor: float) -> Normal:
        """Normal(factor * sigma, factor * mean)."""
        factor = finite("Normal.scaled", "factor", factor, at_least=0.0)
        return Normal(factor * self.sigma, factor * self.mean)

    def describe(self) -> str:
        """E.g. "normal(std=0.02)"."""
        return f"normal(std={self.sigma:.4g}{f', mean={self.mean:.4g}' if self.mean else ''})"
