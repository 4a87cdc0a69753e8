"""Blocks: one recipe for each of several weights that are fused in one parameter."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
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
class Blocks(Recipe):
    """Fused weights (packed q, k, v; the gates of an RNN), each drawn alone with its own fans and its own key.

    The blocks lie one after the other on the first output axis; the geometry says how large each is.

    Attributes:
        parts: one recipe a block, in order.

    Examples:
        >>> from penstock.recipes import Constant, Orthogonal
        >>> Blocks((Orthogonal(1.0),) * 3).describe()
        '3 x orthogonal(gain=1)'
        >>> Blocks((Orthogonal(1.0), Orthogonal(1.0), Constant(0.0))).describe()
        'blocks(2 x orthogonal(gain=1), zeros)'
    """

    parts: tuple[Recipe, ...]

    name: ClassVar[str] = "blocks"
    formula: ClassVar[str] = "W = [W_1; W_2; ...], each with its own recipe"
    when: ClassVar[str] = "packed attention projections and gates, whose fans are those of one block"
    source: ClassVar[str] = "PyTorch issue 166378: one rule on a packed projection takes the wrong fan_out"

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        if not self.parts or not all(isinstance(part, Recipe) for part in self.parts):
            fact = f"Blocks: parts must be one or more recipes; got {self.parts!r}."
            raise ArgumentError(message(fact, hint="Blocks((Orthogonal(1.0),) * 3)"))

    def moments(self, geometry: Geometry) -> Moments:
        """Moments over all blocks together."""
        self._fit("Blocks.moments", geometry)
        each = [part.moments(geometry.block(index)) for index, part in enumerate(self.parts)]
        return pooled(each, geometry.blocks)

    def limit(self, geometry: Geometry) -> float:
        """The largest of all blocks."""
        self._fit("Blocks.limit", geometry)
        return max(part.limit(geometry.block(index)) for index, part in enumerate(self.parts))

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """Each block from `key_for(key, "block", its block_number)`; only those that the window touches."""
        self._fit("Blocks.draw", geometry)
        taken = checked_window("Blocks.draw", geometry.shape, window)
        values = np.empty([len(part) for part in taken], dtype=np.float32)
        for index, place, local in touched(taken, geometry.out_axes[0], geometry.blocks):
            sub_key = key_for(key, "block", str(geometry.block_number(index)))
            values[place] = self.parts[index].draw(geometry.block(index), sub_key, window=local)
        return values

    def scaled(self, factor: float) -> Blocks:
        """Every part scaled."""
        return Blocks(tuple(part.scaled(factor) for part in self.parts))

    def describe(self) -> str:
        """Equal neighbours are counted: "3 x orthogonal(gain=1)"."""
        runs = [(text, len(list(run))) for text, run in itertools.groupby(part.describe() for part in self.parts)]
        texts = [f"{count} x {text}" if count > 1 else text for text, count in runs]
        return texts[0] if len(texts) == 1 and len(self.parts) > 1 else f"blocks({', '.join(texts)})"

    def _fit(self, function: str, geometry: Geometry) -> None:
        if len(geometry.blocks) != len(self.parts):
            raise ShapeError(
                message(
                    f"{function}: the geometry must have one block for each of the {len(self.parts)} parts; "
                    f"got blocks={geometry.blocks} for shape {geometry.shape}."
                )
            )
