"""ZeroRows: another recipe with some rows of a look-up table at zero, such as that of the padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, ShapeError, message
from penstock.geometry import Geometry
from penstock.randomness import Window
from penstock.randomness.windows import checked_window
from penstock.recipes.recipe import Moments, Recipe, pooled


@final
@dataclass(frozen=True, slots=True)
class ZeroRows(Recipe):
    """The values of `part`, with rows of zeros where nothing is looked up: the padding of an embedding.

    All other rows have the bits that they have without. Rows lie on the input axis of a look-up table, else on the
    first.

    Attributes:
        part: what the other rows are drawn from.
        rows: the rows that are zero; sorted, each once.

    Examples:
        >>> from penstock.recipes import Constant
        >>> table = Geometry((3, 2), in_axes=(0,), out_axes=(1,), lookup=True)
        >>> ZeroRows(Constant(1.0), (1,)).draw(table, 0).tolist()
        [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
        >>> ZeroRows(Constant(1.0), (1,)).describe()
        'ones, row 1 zero'
    """

    part: Recipe
    rows: tuple[int, ...]

    name: ClassVar[str] = "zero_rows"
    formula: ClassVar[str] = "W = W_part, but w_ij = 0 for the rows i that are named"
    when: ClassVar[str] = "embeddings with a row for padding, which shall add nothing"
    source: ClassVar[str] = "PyTorch, torch.nn.Embedding: padding_idx"

    def __post_init__(self) -> None:
        whole = all(type(row) is int and row >= 0 for row in self.rows)
        if not isinstance(self.part, Recipe) or isinstance(self.part, ZeroRows) or not self.rows or not whole:
            fact = f"ZeroRows: part must be a recipe, rows one or more integers >= 0; got {self.part!r}, {self.rows!r}."
            raise ArgumentError(message(fact, hint="ZeroRows(Normal(0.02), (0,))"))
        object.__setattr__(self, "rows", tuple(sorted(set(self.rows))))

    def moments(self, geometry: Geometry) -> Moments:
        """Moments over all rows together."""
        size = geometry.shape[self.axis(geometry)]
        zero = len(self.rows)
        return pooled([self.part.moments(geometry), Moments(0.0, 0.0)], (size - zero, zero))

    def limit(self, geometry: Geometry) -> float:
        """That of the part."""
        return self.part.limit(geometry)

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """The part's values from the same key, then the zeros."""
        axis = self.axis(geometry)
        taken = checked_window("ZeroRows.draw", geometry.shape, window)[axis]
        values = self.part.draw(geometry, key, window=window)
        for row in self.rows:
            if row in taken:
                values[(slice(None),) * axis + (row - taken.start,)] = 0.0
        return values

    def scaled(self, factor: float) -> ZeroRows:
        """The part scaled."""
        return ZeroRows(self.part.scaled(factor), self.rows)

    def describe(self) -> str:
        """E.g. "normal(std=0.02), row 0 zero"."""
        return f"{self.part.describe()}, row{'s' * (len(self.rows) > 1)} {', '.join(map(str, self.rows))} zero"

    def axis(self, geometry: Geometry) -> int:
        """The axis that the rows are counted on.

        Raises:
            ShapeError: if there are not so many rows.
        """
        axis = geometry.in_axes[0] if geometry.lookup else 0
        if not geometry.shape or self.rows[-1] >= geometry.shape[axis]:
            raise ShapeError(
                message(f"ZeroRows: row {self.rows[-1]} must lie in the table; got shape {geometry.shape}.")
            )
        return axis
