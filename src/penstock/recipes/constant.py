"""Constant: every element has the same value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.randomness import Window
from penstock.randomness.windows import checked_window
from penstock.recipes.recipe import Moments, Recipe, finite


@final
@dataclass(frozen=True, slots=True)
class Constant(Recipe):
    """Every element equals `value`: biases and offsets 0, norm scales 1.

    A constant weight between two layers of several units makes these units identical for good; use it only where
    something else breaks the symmetry.

    Attributes:
        value: the value of each element.

    Examples:
        >>> Constant(0.0).describe(), Constant(1.0).describe(), Constant(0.5).describe()
        ('zeros', 'ones', 'constant(0.5)')
    """

    value: float

    name: ClassVar[str] = "constant"
    formula: ClassVar[str] = "w = value"
    when: ClassVar[str] = "biases and norm offsets (0), norm scales (1), last layer of a residual branch or head (0)"
    source: ClassVar[str] = "convention of every framework"

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", finite("Constant", "value", self.value))

    def moments(self, geometry: Geometry) -> Moments:
        """The value, and 0."""
        return Moments(self.value, 0.0)

    def limit(self, geometry: Geometry) -> float:
        """The value's magnitude."""
        return abs(self.value)

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """The value everywhere; the key plays no part."""
        taken = checked_window("Constant.draw", geometry.shape, window)
        return np.full([len(part) for part in taken], self.value, dtype=np.float32)

    def scaled(self, factor: float) -> Constant:
        """Constant(factor * value)."""
        return Constant(self.value * finite("Constant.scaled", "factor", factor, at_least=0.0))

    def describe(self) -> str:
        """E.g. "zeros"."""
        return {0.0: "zeros", 1.0: "ones"}.get(self.value, f"constant({self.value:.4g})")
