"""UniformBetween: independent elements, all values between two ends alike, which need not lie around zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.geometry import Geometry
from penstock.randomness import Window, fill
from penstock.randomness.transforms import UNIFORM_STD
from penstock.recipes.recipe import Moments, Recipe, finite


@final
@dataclass(frozen=True, slots=True)
class UniformBetween(Recipe):
    """Independent elements, uniform on [low, high); the standard deviation is (high - low) / sqrt(12).

    No value equals `high`, and none lies outside after rounding to float32. With low = -high the values are those of
    `Uniform(high)`, bit for bit.

    Attributes:
        low: the smallest value.
        high: the end that is not reached, >= low.

    Examples:
        >>> UniformBetween(0.0, 1.0).describe()
        'uniform(0 to 1)'
    """

    low: float
    high: float

    name: ClassVar[str] = "uniform_between"
    formula: ClassVar[str] = "w ~ U[low, high)"
    when: ClassVar[str] = "decay rates, time constants and phases; what PyTorch and JAX call uniform"
    source: ClassVar[str] = "convention of every framework"

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", finite("UniformBetween", "low", self.low))
        object.__setattr__(self, "high", finite("UniformBetween", "high", self.high))
        if self.high < self.low:
            fact = f"UniformBetween: high must be at least low; got low={self.low:g}, high={self.high:g}."
            raise ArgumentError(message(fact, hint="UniformBetween(0.0, 1.0)"))

    def moments(self, geometry: Geometry) -> Moments:
        """The middle, and (high - low) / sqrt(12)."""
        return Moments((self.low + self.high) / 2, (self.high - self.low) / 2 * UNIFORM_STD)

    def limit(self, geometry: Geometry) -> float:
        """The end that is farther from 0."""
        return max(abs(self.low), abs(self.high))

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """The middle plus half the width times a value uniform on (-1, 1)."""
        scale, shift, clip = self.affine()
        values = fill("uniform", geometry.shape, key, window=window, scale=scale, shift=shift)
        return values if clip is None else np.clip(values, *clip, out=values)

    def affine(self) -> tuple[float, float, tuple[np.float32, np.float32] | None]:
        """Factor and shift of the raw values, and the ends to clip at, None where rounding cannot reach them.

        One spacing of the larger end is taken off the factor where that is less than a part in 2^21 of it: then no
        value rounds to an end, and none need be clipped.
        """
        half, middle = (self.high - self.low) / 2, (self.low + self.high) / 2
        spacing = float(np.spacing(np.float32(max(abs(self.low), abs(self.high)))))
        if middle != 0.0 and spacing <= 2.0**-21 * half:
            half -= spacing
        lowest, highest = float32_at_least(self.low), -float32_at_least(-self.high)
        if float(highest) == self.high > self.low:
            highest = np.nextafter(highest, np.float32(-np.inf))
        # Between neighbours in float32 nothing lies strictly inside; then the lower one is taken.
        highest = max(lowest, highest)
        reach = np.float32(half) * np.float32(1.0 - 2.0**-24)
        inside = lowest <= np.float32(middle) - reach and np.float32(middle) + reach <= highest
        return half, middle, None if inside else (lowest, highest)

    def scaled(self, factor: float) -> UniformBetween:
        """Both ends times the factor."""
        factor = finite("UniformBetween.scaled", "factor", factor, at_least=0.0)
        return UniformBetween(factor * self.low, factor * self.high)

    def describe(self) -> str:
        """E.g. "uniform(0 to 1)"."""
        return f"uniform({self.low:.4g} to {self.high:.4g})"


def rounded(recipe: Recipe, values: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A recipe's values in another type; of a uniform law none is rounded to the end that is left out.

    Examples:
        >>> law = UniformBetween(0.0, 1.0)
        >>> values = np.array([0.5, 1.0 - 2.0**-24], np.float32)
        >>> values.astype(np.float16).tolist(), rounded(law, values, np.dtype(np.float16)).tolist()
        ([0.5, 1.0], [0.5, 0.99951171875])
    """
    made = values.astype(dtype, copy=False)
    end = open_end(recipe, dtype)
    return made if end is None else np.minimum(made, end)


def open_end(recipe: Recipe, dtype: np.dtype[Any]) -> npt.NDArray[Any] | None:
    """The largest value of a half type below a uniform law's `high`; None where rounding cannot reach `high`."""
    if not isinstance(recipe, UniformBetween) or dtype.itemsize > 2:
        return None
    end = np.asarray(recipe.high).astype(dtype)
    if not float(end) >= recipe.high > recipe.low:
        return end
    return np.asarray(np.nextafter(end, np.asarray(-np.inf).astype(dtype)))


def float32_at_least(value: float) -> np.float32:
    """The smallest float32 that is not below a value."""
    near = np.float32(value)
    return near if float(near) >= value else np.nextafter(near, np.float32(np.inf))
