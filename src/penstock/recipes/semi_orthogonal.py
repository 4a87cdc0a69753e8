"""SemiOrthogonal: orthonormal rows or columns times a constant, whatever that does to a widening layer's RMS."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.randomness import Window
from penstock.recipes.blocks import Blocks
from penstock.recipes.matrices import matrix_stack
from penstock.recipes.orthogonal import Orthogonal
from penstock.recipes.recipe import Moments, Recipe, finite, pooled


@final
@dataclass(frozen=True, slots=True)
class SemiOrthogonal(Recipe):
    """W = gain Q, with Q the Haar-distributed (semi-)orthogonal matrix of `Orthogonal`, from the same draws.

    What PyTorch, Keras and JAX call orthogonal. All singular values equal `gain`, so lengths of vectors are kept where
    out >= in; the RMS of a widening layer's output shrinks by sqrt(in / out), which `Orthogonal` makes good. For square
    and narrowing layers the two rules are one.

    Attributes:
        gain: every singular value, >= 0.

    Examples:
        >>> w = SemiOrthogonal(2.0).draw(Geometry((6, 3), in_axes=(1,), out_axes=(0,)), 7)
        >>> bool(np.allclose(w.T @ w, 4.0 * np.eye(3), atol=1e-5))
        True
    """

    gain: float = 1.0

    name: ClassVar[str] = "semi_orthogonal"
    formula: ClassVar[str] = "W = gain Q, Q Haar-distributed (semi-)orthogonal"
    when: ClassVar[str] = "to match the frameworks' own orthogonal rule; else take orthogonal"
    source: ClassVar[str] = "Saxe, McClelland, Ganguli 2014, arXiv:1312.6120; Mezzadri 2007, math-ph/0609050"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("SemiOrthogonal", "gain", self.gain, at_least=0.0))

    def moments(self, geometry: Geometry) -> Moments:
        """0 and gain / sqrt(max(rows, columns)) of one matrix."""
        if geometry.blocks:
            return pooled([self.moments(geometry.block(i)) for i in range(len(geometry.blocks))], geometry.blocks)
        _, _, rows, columns = matrix_stack("SemiOrthogonal.moments", geometry)
        return Moments(0.0, self.gain / math.sqrt(max(rows, columns, 1)))

    def limit(self, geometry: Geometry) -> float:
        """The singular values, which no element exceeds: gain."""
        self.moments(geometry)
        return self.gain

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """`Orthogonal`'s matrix with another constant."""
        if geometry.blocks:
            return Blocks((self,) * len(geometry.blocks)).draw(geometry, key, window=window)
        return Orthogonal(self.std(geometry) * math.sqrt(geometry.fans.fan_in)).draw(geometry, key, window=window)

    def scaled(self, factor: float) -> SemiOrthogonal:
        """SemiOrthogonal(factor * gain)."""
        return SemiOrthogonal(finite("SemiOrthogonal.scaled", "factor", factor, at_least=0.0) * self.gain)

    def describe(self) -> str:
        """E.g. "semi_orthogonal(gain=1)"."""
        return f"semi_orthogonal(gain={self.gain:.4g})"
