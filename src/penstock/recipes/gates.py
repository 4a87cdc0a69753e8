"""Base of the random gate biases: one number a unit decides how long it remembers."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace
from typing import Self

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, ShapeError, message
from penstock.geometry import Geometry
from penstock.randomness import Window
from penstock.randomness.windows import checked_window
from penstock.recipes.arguments import count
from penstock.recipes.of_uniform import OfUniform
from penstock.recipes.recipe import Moments, Recipe, finite, pooled


class GateBias(Recipe):
    """A fused bias of equal blocks: v on the gate that remembers, -v on the one that writes, 0 on all others.

    Of two biases that are kept one below the other, (2, gates * units), the first one has the values: they are added.
    """

    __slots__ = ()
    gates: int
    remember: int
    write: int | None
    gain: float

    @abstractmethod
    def law(self, hidden: int) -> OfUniform:
        """The law of v for so many units."""

    def moments(self, geometry: Geometry) -> Moments:
        """Over all blocks together."""
        hidden = self._hidden("moments", geometry)
        mean, std = self.law(hidden).moments(Geometry((hidden,)))
        blocks = [Moments(0.0, 0.0)] * self.gates
        blocks[self.remember] = Moments(mean, std)
        if self.write is not None:
            blocks[self.write] = Moments(-mean, std)
        sizes = (hidden,) * self.gates
        if len(geometry.shape) > 1:
            blocks, sizes = [*blocks, Moments(0.0, 0.0)], (*sizes, math.prod(geometry.shape) - sum(sizes))
        return pooled(blocks, sizes)

    def limit(self, geometry: Geometry) -> float:
        """That of v."""
        return self.law(self._hidden("limit", geometry)).limit(geometry)

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """One value a unit, from the key, laid into its blocks."""
        hidden = self._hidden("draw", geometry)
        taken = checked_window(f"{type(self).__name__}.draw", geometry.shape, window)
        values = np.zeros(geometry.shape, dtype=np.float32)
        first = values.reshape(-1, geometry.shape[-1])[0]
        drawn = self.law(hidden).draw(Geometry((hidden,)), key)
        first[self.remember * hidden : (self.remember + 1) * hidden] = drawn
        if self.write is not None:
            first[self.write * hidden : (self.write + 1) * hidden] = -drawn
        return values[tuple(slice(part.start, part.stop) for part in taken)].copy()

    def scaled(self, factor: float) -> Self:
        """The same with factor * gain."""
        factor = finite(f"{type(self).__name__}.scaled", "factor", factor, at_least=0.0)
        return replace(self, gain=factor * self.gain)

    def _check(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "gates", count(name, "gates", self.gates))
        object.__setattr__(self, "remember", count(name, "remember", self.remember, at_least=0))
        if self.write is not None:
            object.__setattr__(self, "write", count(name, "write", self.write, at_least=0))
        object.__setattr__(self, "gain", finite(name, "gain", self.gain, at_least=0.0))
        if max(self.remember, self.write or 0) >= self.gates or self.remember == self.write:
            fact = f"{name}: remember and write must be different gates below gates={self.gates}; "
            fact += f"got remember={self.remember}, write={self.write}."
            raise ArgumentError(
                message(fact, hint=f"{name}(..., gates=4, remember=1, write=0), for an LSTM of PyTorch")
            )

    def _hidden(self, method: str, geometry: Geometry) -> int:
        if geometry.shape[:-1] not in ((), (2,)) or not geometry.shape or geometry.shape[-1] % self.gates:
            raise ShapeError(
                message(
                    f"{type(self).__name__}.{method}: a bias of {self.gates} equal blocks is needed; "
                    f"got shape {geometry.shape}."
                )
            )
        return geometry.shape[-1] // self.gates
