"""Uniform: independent elements, all values between two bounds alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.randomness import Window, fill
from penstock.randomness.transforms import UNIFORM_STD
from penstock.recipes.recipe import Moments, Recipe, finite


@final
@dataclass(frozen=True, slots=True)
class Uniform(Recipe):
    """Independent elements, uniform on (-bound, bound); the standard deviation is bound / sqrt(3).

    Attributes:
        bound: the largest magnitude, >= 0.

    Examples:
        >>> Uniform(0.05).describe()
        'uniform(bound=0.05)'
    """

    bound: float

    name: ClassVar[str] = "uniform"
    formula: ClassVar[str] = "w ~ U(-bound, bound)"
    when: ClassVar[str] = "a bound that a paper or a framework prescribes, e.g. 1/sqrt(hidden size) for PyTorch's RNNs"
    source: ClassVar[str] = "LeCun, Bottou, Orr, Müller 1998, Efficient BackProp, section 4.6"

    def __post_init__(self) -> None:
        object.__setattr__(self, "bound", finite("Uniform", "bound", self.bound, at_least=0.0))

    def moments(self, geometry: Geometry) -> Moments:
        """0 and bound / sqrt(3)."""
        return Moments(0.0, self.bound * UNIFORM_STD)

    def limit(self, geometry: Geometry) -> float:
        """The bound."""
        return self.bound

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """Bound times a value uniform on (-1, 1)."""
        return fill("uniform", geometry.shape, key, window=window, scale=self.bound)

    def scaled(self, factor: float) -> Uniform:
        """Uniform(factor * bound)."""
        return Uniform(finite("Uniform.scaled", "factor", factor, at_least=0.0) * self.bound)

    def describe(self) -> str:
        """E.g. "uniform(bound=0.05)"."""
        return f"uniform(bound={self.bound:.4g})"
