"""What every recipe is: a frozen value with a law for the elements of a parameter, which can be drawn."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.geometry import Geometry
from penstock.randomness import Window


class Moments(NamedTuple):
    """Mean and standard deviation over the elements of one parameter, in the unit of its values."""

    mean: float
    std: float


@dataclass(frozen=True, slots=True)
class Recipe(ABC):
    """A published rule with its parameters.

    Two recipes are equal when they draw the same values from every key.

    Attributes:
        name: the name in plans, JSON and the catalogue.
        formula: the law of one element.
        when: what the rule is for.
        source: where it was published.
    """

    name: ClassVar[str]
    formula: ClassVar[str]
    when: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def moments(self, geometry: Geometry) -> Moments:
        """Mean and standard deviation of the elements of such a parameter, without drawing it."""

    @abstractmethod
    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """The values of a parameter, or of a window of it.

        Args:
            geometry: shape and axis roles of the whole parameter.
            key: 64 bits, from `penstock.randomness.key_for`.
            window: the part to draw, one slice an axis; None for all. It has the bits of the same part of the whole.

        Returns:
            An array of the window's shape.

        Raises:
            ShapeError: if the geometry does not suit the rule or the window does not fit.
        """

    @abstractmethod
    def scaled(self, factor: float) -> Self:
        """The recipe whose values are `factor` >= 0 times as large."""

    @abstractmethod
    def describe(self) -> str:
        """A short text for tables, e.g. "fan_in normal(gain=1.414)"."""

    def std(self, geometry: Geometry) -> float:
        """Standard deviation of one element, in the unit of the values."""
        return self.moments(geometry).std

    def limit(self, geometry: Geometry) -> float:
        """The largest magnitude that an element can have, in exact arithmetic; infinite for a law without an end."""
        return math.inf

    def rms(self, geometry: Geometry) -> float:
        """Root mean square of the elements: sqrt(mean^2 + std^2)."""
        return math.hypot(*self.moments(geometry))

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain data for JSON; `penstock.recipes.recipe_from_dict` reads it back."""
        return {"recipe": self.name} | {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def _plain(value: Any) -> Any:
    if isinstance(value, Recipe):
        return value.to_dict()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def finite(function: str, argument: str, value: object, *, at_least: float = -math.inf) -> float:
    """The value as a Python float.

    Raises:
        ArgumentError: if it is no finite real number or is too small.
    """
    if not isinstance(value, Real) or not math.isfinite(value) or value < at_least:
        bound = "" if at_least == -math.inf else f" >= {at_least:g}"
        raise ArgumentError(message(f"{function}: {argument} must be a finite number{bound}; got {value!r}."))
    return float(value)


def needs_axes(recipe: Recipe) -> bool:
    """Whether a recipe suits weights with inputs and outputs, and no vector."""

    def suits(geometry: Geometry) -> bool:
        try:
            recipe.moments(geometry)
        except ArgumentError:
            return False
        return True

    return not suits(Geometry((4,))) and suits(Geometry((4, 4), in_axes=(0,), out_axes=(1,)))


def pooled(moments: list[Moments], sizes: tuple[int, ...]) -> Moments:
    """Moments of several parts laid side by side, with so many elements each."""
    total = sum(sizes)
    if total == 0:
        return Moments(0.0, 0.0)
    mean = sum(part.mean * size for part, size in zip(moments, sizes, strict=True)) / total
    variance = (
        sum((part.std**2 + (part.mean - mean) ** 2) * size for part, size in zip(moments, sizes, strict=True)) / total
    )
    return Moments(mean, math.sqrt(variance))
