"""PerBlock: one value for each part of a fused bias, such as 1 for the forget gate and 0 for the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, ShapeError, message
from penstock.geometry import Geometry
from penstock.randomness import Window
from penstock.randomness.windows import checked_window
from penstock.recipes.recipe import Moments, Recipe, finite, pooled


@final
@dataclass(frozen=True, slots=True)
class PerBlock(Recipe):
    """Constants along the first axis: `values[i]` for the next `sizes[i]` places.

    A bias has no input and output axes from which blocks could be read, so the recipe carries their sizes.

    Attributes:
        values: one value a block.
        sizes: places of each block; they add up to the first axis.

    Examples:
        >>> forget = PerBlock((0.0, 1.0, 0.0, 0.0), (2, 2, 2, 2))
        >>> forget.draw(Geometry((8,)), 0).tolist()
        [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
        >>> forget.describe()
        'per_block(0, 1, 0, 0)'
    """

    values: tuple[float, ...]
    sizes: tuple[int, ...]

    name: ClassVar[str] = "per_block"
    formula: ClassVar[str] = "b = [v_1, ..., v_1, v_2, ...]"
    when: ClassVar[str] = "biases of gated cells: forget gate 1, all others 0"
    source: ClassVar[str] = "Gers, Schmidhuber, Cummins 2000; Jozefowicz, Zaremba, Sutskever 2015"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(finite("PerBlock", "values", value) for value in self.values))
        object.__setattr__(self, "sizes", tuple(self.sizes))
        whole = all(isinstance(size, int) and size >= 0 for size in self.sizes)
        if not self.values or len(self.values) != len(self.sizes) or not whole:
            fact = f"PerBlock: values and sizes must be as many, sizes integers >= 0; got {self.values}, {self.sizes}."
            raise ArgumentError(message(fact, hint="PerBlock((0.0, 1.0, 0.0, 0.0), (64, 64, 64, 64))"))

    def moments(self, geometry: Geometry) -> Moments:
        """Moments over all blocks together."""
        self._fit("PerBlock.moments", geometry)
        return pooled([Moments(value, 0.0) for value in self.values], self.sizes)

    def limit(self, geometry: Geometry) -> float:
        """The largest magnitude of the values."""
        return max(abs(value) for value in self.values)

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """The values; the key plays no part."""
        self._fit("PerBlock.draw", geometry)
        first, *rest = checked_window("PerBlock.draw", geometry.shape, window)
        line = np.repeat(np.array(self.values, dtype=np.float32), self.sizes)[first.start : first.stop]
        shape = [len(first), *(len(part) for part in rest)]
        return np.broadcast_to(line.reshape(-1, *[1] * len(rest)), shape).copy()

    def scaled(self, factor: float) -> PerBlock:
        """Every value times the factor."""
        factor = finite("PerBlock.scaled", "factor", factor, at_least=0.0)
        return PerBlock(tuple(factor * value for value in self.values), self.sizes)

    def describe(self) -> str:
        """E.g. "per_block(0, 1, 0, 0)"."""
        return f"per_block({', '.join(f'{value:.4g}' for value in self.values)})"

    def _fit(self, function: str, geometry: Geometry) -> None:
        if not geometry.shape or sum(self.sizes) != geometry.shape[0]:
            raise ShapeError(
                message(
                    f"{function}: sizes must add up to the first axis; got {self.sizes} for shape {geometry.shape}."
                )
            )
