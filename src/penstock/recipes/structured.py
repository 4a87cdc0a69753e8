"""Bases of the recipes whose elements depend on each other: they are made whole, and a window is cut out."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import fields, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.randomness import Window, key_for
from penstock.randomness.windows import checked_window
from penstock.recipes.blocks import Blocks
from penstock.recipes.matrices import from_matrices, matrix_stack
from penstock.recipes.orthogonal import Orthogonal
from penstock.recipes.recipe import Moments, Recipe, finite


class Structured(Recipe):
    """A recipe with a gain that multiplies all of its elements; fused blocks are drawn alone."""

    __slots__ = ()
    gain: float

    @abstractmethod
    def whole_moments(self, geometry: Geometry) -> Moments:
        """Mean and standard deviation over the elements of a parameter without fused blocks, times the gain."""

    @abstractmethod
    def whole(self, geometry: Geometry, key: int) -> npt.NDArray[np.floating]:
        """All elements of a parameter without fused blocks, times the gain."""

    def moments(self, geometry: Geometry) -> Moments:
        """Those of the whole, or of all fused blocks together."""
        if geometry.blocks:
            return Blocks((self,) * len(geometry.blocks)).moments(geometry)
        return self.whole_moments(geometry)

    def limit(self, geometry: Geometry) -> float:
        """That of the whole, or the largest of all fused blocks."""
        if geometry.blocks:
            return Blocks((self,) * len(geometry.blocks)).limit(geometry)
        return self.whole_limit(geometry)

    def whole_limit(self, geometry: Geometry) -> float:
        """The largest magnitude in a parameter without fused blocks; infinite where there is none."""
        return math.inf

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """The whole parameter, rounded to float32, then the window cut out."""
        taken = checked_window(f"{type(self).__name__}.draw", geometry.shape, window)
        if geometry.blocks:
            return Blocks((self,) * len(geometry.blocks)).draw(geometry, key, window=window)
        values = self.whole(geometry, key).astype(np.float32)
        return np.ascontiguousarray(values[tuple(slice(part.start, part.stop) for part in taken)])

    def scaled(self, factor: float) -> Self:
        """The same with factor * gain."""
        factor = finite(f"{type(self).__name__}.scaled", "factor", factor, at_least=0.0)
        return replace(self, gain=factor * self.gain)

    def describe(self) -> str:
        """The name and the fields, e.g. "sparse(nonzero=15, gain=1)"."""
        return described(self)


class Fixed(Structured):
    """A structured recipe without randomness: its moments are those of its values."""

    __slots__ = ()

    def whole_moments(self, geometry: Geometry) -> Moments:
        """Exact moments over all elements."""
        values = self.whole(geometry, 0).astype(np.float64)
        return Moments(float(values.mean()), float(values.std())) if values.size else Moments(0.0, 0.0)

    def whole_limit(self, geometry: Geometry) -> float:
        """The largest magnitude of its values."""
        return float(np.abs(self.whole(geometry, 0)).max(initial=0.0))


def described(recipe: Recipe) -> str:
    """The recipe's name and fields in few letters; unset fields are left out."""
    texts = []
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if isinstance(value, Recipe):
            texts.append(value.describe())
        elif value is not None:
            texts.append(f"{field.name}={value:.4g}" if isinstance(value, float) else f"{field.name}={value}")
    return f"{recipe.name}({', '.join(texts)})"


def rotations(key: int, stack: int, rows: int, columns: int) -> npt.NDArray[np.float64]:
    """Independent Haar-distributed matrices: orthonormal rows where wide, orthonormal columns where tall.

    Returns:
        An array of shape (stack, rows, columns), float64 with the accuracy of float32.
    """
    geometry = Geometry((stack, rows, columns), in_axes=(2,), out_axes=(1,), batch_axes=(0,))
    if rows == 0 or columns == 0:
        return np.zeros(geometry.shape)
    # Orthogonal keeps the RMS, so widening matrices come sqrt(rows / columns) too large.
    widening = max(1.0, float(np.sqrt(rows / columns)))
    return Orthogonal(1.0).draw(geometry, key).astype(np.float64) / widening


def rotations_of(function: str, geometry: Geometry, key: int) -> npt.NDArray[np.float64]:
    """One rotation of (outputs) x (inputs) for each stacked weight and group: shape (stacked, groups, rows, inputs)."""
    stacked, groups, rows, inputs = kernel_sizes(function, geometry)
    return rotations(key_for(key, "rotations"), stacked * groups, rows, inputs).reshape(stacked, groups, rows, inputs)


def kernel_sizes(function: str, geometry: Geometry) -> tuple[int, int, int, int]:
    """Stacked weights, groups, outputs and inputs of one group."""
    stacked, groups, rows, columns = matrix_stack(function, geometry)
    return stacked, groups, rows, columns // taps(geometry) if taps(geometry) else 0


def with_taps(geometry: Geometry, kernels: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """A weight from kernels of shape (stacked, groups, rows, inputs, taps), the taps row-major."""
    flat = kernels.reshape(*kernels.shape[:3], kernels.shape[3] * kernels.shape[4])
    return from_matrices(geometry, flat.astype(np.float32))


def taps(geometry: Geometry) -> int:
    """How many taps a window has; 1 for a linear layer."""
    return int(np.prod([geometry.shape[axis] for axis in geometry.window_axes], dtype=np.int64))


def centre_tap(geometry: Geometry) -> int:
    """Row-major number of the centre, (k - 1) // 2 on each axis."""
    sizes = [geometry.shape[axis] for axis in geometry.window_axes]
    return int(np.ravel_multi_index([(size - 1) // 2 for size in sizes], sizes)) if sizes else 0
