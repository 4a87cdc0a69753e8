"""Icnr: a convolution before a pixel shuffle starts as nearest-neighbour upsampling, without checkerboards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, ShapeError, message
from penstock.geometry import Geometry
from penstock.randomness import Window
from penstock.randomness.windows import checked_window
from penstock.recipes.arguments import count, one_of
from penstock.recipes.recipe import Moments, Recipe


@final
@dataclass(frozen=True, slots=True)
class Icnr(Recipe):
    """The same kernel for all output channels that the shuffle puts into one output pixel block.

    Attributes:
        base: the recipe of the kernels, drawn for out / copies channels.
        copies: r^2 for an upscaling by r in two dimensions.
        order: "torch": copies are neighbours, as `PixelShuffle` reads them; "tensorflow": copies are whole runs of
            channels, as `depth_to_space` reads them.

    Examples:
        >>> from penstock.recipes import VarianceScaling
        >>> geometry = Geometry((8, 3, 3, 3), in_axes=(1,), out_axes=(0,), window_axes=(2, 3))
        >>> w = Icnr(VarianceScaling(1.0)).draw(geometry, 7)
        >>> bool((w[0] == w[3]).all()), bool((w[3] == w[4]).any())
        (True, False)
    """

    base: Recipe
    copies: int = 4
    order: Literal["torch", "tensorflow"] = "torch"

    name: ClassVar[str] = "icnr"
    formula: ClassVar[str] = "W[c r^2 + j] = W_0[c] for all j < r^2"
    when: ClassVar[str] = "the convolution before a sub-pixel shuffle (super-resolution)"
    source: ClassVar[str] = "Aitken et al. 2017, arXiv:1707.02937"

    def __post_init__(self) -> None:
        if not isinstance(self.base, Recipe):
            raise ArgumentError(
                message(f"Icnr: base must be a recipe; got {self.base!r}.", hint="Icnr(VarianceScaling(1.0), copies=4)")
            )
        object.__setattr__(self, "copies", count("Icnr", "copies", self.copies))
        one_of("Icnr", "order", self.order, ("torch", "tensorflow"))

    def moments(self, geometry: Geometry) -> Moments:
        """Those of the kernels without their copies."""
        return self.base.moments(self._small("Icnr.moments", geometry))

    def limit(self, geometry: Geometry) -> float:
        """That of the kernels without their copies."""
        return self.base.limit(self._small("Icnr.limit", geometry))

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """The kernels that the window touches, then their copies."""
        small = self._small("Icnr.draw", geometry)
        taken = checked_window("Icnr.draw", geometry.shape, window)
        axis = geometry.out_axes[0]
        rows = np.arange(taken[axis].start, taken[axis].stop)
        channels = rows // self.copies if self.order == "torch" else rows % max(small.shape[axis], 1)
        start, stop = (int(channels.min()), int(channels.max()) + 1) if rows.size else (0, 0)
        part = [slice(piece.start, piece.stop) for piece in taken]
        part[axis] = slice(start, stop)
        return np.take(self.base.draw(small, key, window=tuple(part)), channels - start, axis=axis)

    def scaled(self, factor: float) -> Icnr:
        """The base scaled."""
        return replace(self, base=self.base.scaled(factor))

    def describe(self) -> str:
        """E.g. "icnr(4 x fan_in normal(gain=1))"."""
        return f"icnr({self.copies} x {self.base.describe()})"

    def _small(self, function: str, geometry: Geometry) -> Geometry:
        if not geometry.out_axes or geometry.blocks or geometry.shape[geometry.out_axes[0]] % self.copies:
            raise ShapeError(
                message(
                    f"{function}: the number of output channels must be a multiple of copies={self.copies}; got shape "
                    f"{geometry.shape}, out_axes={geometry.out_axes}, blocks={geometry.blocks}."
                )
            )
        axis = geometry.out_axes[0]
        return replace(
            geometry, shape=tuple(n // self.copies if a == axis else n for a, n in enumerate(geometry.shape))
        )
