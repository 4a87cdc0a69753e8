"""Joined: one recipe for each of several signals that one weight reads side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, ShapeError, message
from penstock.geometry import Geometry
from penstock.randomness import Window, key_for
from penstock.randomness.windows import checked_window
from penstock.recipes.recipe import Moments, Recipe, pooled
from penstock.recipes.side_by_side import touched


@final
@dataclass(frozen=True, slots=True)
class Joined(Recipe):
    """A weight on several signals side by side (input and state of Haiku's LSTM), each part drawn alone.

    The parts lie one after the other on the first input axis. Each has its own fan in, so together they add up to the
    sum of their variances.

    Attributes:
        parts: one recipe a signal, in order.
        sizes: features of each signal; they add up to the first input axis.

    Examples:
        >>> from penstock.recipes import Constant, Normal
        >>> weight = Joined((Constant(1.0), Constant(0.0)), (2, 1))
        >>> weight.draw(Geometry((3, 2), in_axes=(0,), out_axes=(1,)), 0).tolist()
        [[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
        >>> weight.describe()
        'joined(ones, zeros)'
    """

    parts: tuple[Recipe, ...]
    sizes: tuple[int, ...]

    name: ClassVar[str] = "joined"
    formula: ClassVar[str] = "W = [W_1, W_2, ...] on inputs side by side, each with its own recipe"
    when: ClassVar[str] = "cells with one weight on input and state together"
    source: ClassVar[str] = "haiku.LSTM, whose linear layer reads concatenate([inputs, hidden])"

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        object.__setattr__(self, "sizes", tuple(self.sizes))
        whole = all(isinstance(size, int) and size >= 0 for size in self.sizes)
        recipes = all(isinstance(part, Recipe) for part in self.parts)
        if not self.parts or len(self.parts) != len(self.sizes) or not whole or not recipes:
            fact = (
                f"Joined: parts and sizes must be as many, recipes and integers >= 0; got {self.parts}, {self.sizes}."
            )
            raise ArgumentError(message(fact, hint="Joined((he_normal(), Orthogonal(1.0)), (6, 8))"))

    def moments(self, geometry: Geometry) -> Moments:
        """Moments over all parts together."""
        each = self._geometries("moments", geometry)
        return pooled([part.moments(own) for part, own in zip(self.parts, each, strict=True)], self.sizes)

    def limit(self, geometry: Geometry) -> float:
        """The largest of all parts."""
        each = self._geometries("limit", geometry)
        return max(part.limit(own) for part, own in zip(self.parts, each, strict=True))

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """Each part from `key_for(key, "joined", its number)`; only those that the window touches."""
        each = self._geometries("draw", geometry)
        taken = checked_window("Joined.draw", geometry.shape, window)
        values = np.empty([len(part) for part in taken], dtype=np.float32)
        for index, place, local in touched(taken, geometry.in_axes[0], self.sizes):
            values[place] = self.parts[index].draw(each[index], key_for(key, "joined", str(index)), window=local)
        return values

    def scaled(self, factor: float) -> Joined:
        """Every part scaled."""
        return Joined(tuple(part.scaled(factor) for part in self.parts), self.sizes)

    def describe(self) -> str:
        """E.g. "joined(4 x fan_in normal(gain=1), 4 x orthogonal(gain=1))"."""
        return f"joined({', '.join(part.describe() for part in self.parts)})"

    def _geometries(self, method: str, geometry: Geometry) -> list[Geometry]:
        """That of each part."""
        if not geometry.in_axes or sum(self.sizes) != geometry.shape[geometry.in_axes[0]] or geometry.split == "out":
            raise ShapeError(
                message(
                    f"Joined.{method}: sizes must add up to the first input axis; got {self.sizes} for shape "
                    f"{geometry.shape}, in_axes={geometry.in_axes}."
                )
            )
        return beside(geometry, self.sizes)


def beside(geometry: Geometry, sizes: Sequence[int]) -> list[Geometry]:
    """The parts of a weight on signals of these sizes, which lie on its first input axis."""
    axis = geometry.in_axes[0]
    return [replace(geometry, shape=(*geometry.shape[:axis], size, *geometry.shape[axis + 1 :])) for size in sizes]
