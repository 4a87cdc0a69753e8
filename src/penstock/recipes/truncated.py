"""TruncatedNormal: Gaussian elements without the tails beyond two sigma."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.randomness import Window, fill
from penstock.randomness.transforms import TRUNCATED_CUT, TRUNCATED_STD
from penstock.recipes.recipe import Moments, Recipe, finite


@final
@dataclass(frozen=True, slots=True)
class TruncatedNormal(Recipe):
    """Independent elements from a normal law cut at two of its standard deviations.

    `sigma` is the standard deviation after the cut, so that it compares with that of `Normal`. Plain truncated normals
    of other libraries name the one before: theirs with 0.02 is this one with 0.02 * 0.8796. The cut scales with sigma;
    that of PyTorch's `trunc_normal_` is absolute.

    Attributes:
        sigma: standard deviation of one element, after the cut, >= 0.

    Examples:
        >>> TruncatedNormal(0.02).describe()
        'truncated_normal(std=0.02)'
        >>> round(TruncatedNormal(0.02).bound, 5)
        0.04547
    """

    sigma: float

    name: ClassVar[str] = "truncated_normal"
    formula: ClassVar[str] = "w ~ N(0, s^2) cut at +-2 s, s = sigma / 0.87962566"
    when: ClassVar[str] = "as normal, where no single large weight is wanted (small tensors, low precision)"
    source: ClassVar[str] = "Keras and JAX variance scaling, which correct by the same constant"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", finite("TruncatedNormal", "sigma", self.sigma, at_least=0.0))

    @property
    def bound(self) -> float:
        """The largest magnitude: 2 sigma / 0.8796."""
        return TRUNCATED_CUT * self.sigma / TRUNCATED_STD

    def moments(self, geometry: Geometry) -> Moments:
        """0 and sigma."""
        return Moments(0.0, self.sigma)

    def limit(self, geometry: Geometry) -> float:
        """The cut: 2 sigma / 0.8796."""
        return self.bound

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """Sigma / 0.8796 times a normal value cut at +-2."""
        return fill("truncated_normal", geometry.shape, key, window=window, scale=self.sigma / TRUNCATED_STD)

    def scaled(self, factor: float) -> TruncatedNormal:
        """TruncatedNormal(factor * sigma)."""
        return TruncatedNormal(finite("TruncatedNormal.scaled", "factor", factor, at_least=0.0) * self.sigma)

    def describe(self) -> str:
        """E.g. "truncated_normal(std=0.02)"."""
        return f"truncated_normal(std={self.sigma:.4g})"
