"""Orthogonal: a random rotation, the same in every direction; keeps every angle and not only the mean square."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.randomness import Window, fill
from penstock.randomness.windows import checked_window
from penstock.recipes.blocks import Blocks
from penstock.recipes.householder import haar
from penstock.recipes.matrices import from_matrices, matrix_stack
from penstock.recipes.recipe import Moments, Recipe, finite


@final
@dataclass(frozen=True, slots=True)
class Orthogonal(Recipe):
    r"""Orthonormal rows or columns, uniform over all such matrices (Haar measure), times a constant.

    .. math::  W = \mathrm{gain}\, \sqrt{\max(\mathrm{rows}, \mathrm{columns}) / \mathrm{fan_{in}}}\; Q

    with Q the matrix of (output axes) x (input axes and window) of one group. An input of RMS 1 gives an output of RMS
    `gain` whatever the shape: exactly for rows >= columns, on average over directions for rows < columns. So for a
    linear layer the factor is gain * max(1, sqrt(out / in)), and the std of one element is gain / sqrt(fan_in), as
    with `VarianceScaling`. Plain orthogonal rules of other libraries leave the factor out, and a widening layer then
    shrinks the RMS by sqrt(in / out).

    Groups, stacked weights (experts) and fused blocks are drawn independently. A window is cut from its whole matrix.
    For a convolution the flattened kernel is orthogonal, which does not make the convolution itself an isometry.

    Attributes:
        gain: RMS out over RMS in, >= 0.

    Sameness: the Gaussian draws have the same bits everywhere. The matrix made of them is the same everywhere up to
    rounding, about 1e-6 of the length of a row or column, and bit-identical for one linear-algebra library on one kind
    of processor with one number of threads: such libraries sum products in different orders. A window has the bits of
    the same part of the whole. max|Q^T Q - I| < 1e-5.

    Examples:
        >>> w = Orthogonal(1.0).draw(Geometry((6, 3), in_axes=(1,), out_axes=(0,)), 7)
        >>> bool(np.allclose(w.T @ w, 2.0 * np.eye(3), atol=1e-6))
        True
    """

    gain: float = 1.0

    name: ClassVar[str] = "orthogonal"
    formula: ClassVar[str] = "W = gain max(1, sqrt(out/in)) Q, Q Haar-distributed (semi-)orthogonal"
    when: ClassVar[str] = "deep plain stacks and recurrent weights, where products of many matrices must not degenerate"
    source: ClassVar[str] = (
        "Saxe, McClelland, Ganguli 2014, arXiv:1312.6120; Stewart 1980 and Mezzadri 2007, math-ph/0609050 (sampling); "
        "Martens et al. 2021, arXiv:2110.01765 (factor for widening layers)"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("Orthogonal", "gain", self.gain, at_least=0.0))

    def moments(self, geometry: Geometry) -> Moments:
        """0 and gain / sqrt(fan_in)."""
        fan_in = geometry.fans.fan_in
        return Moments(0.0, self.gain / math.sqrt(fan_in) if fan_in else 0.0)

    def limit(self, geometry: Geometry) -> float:
        """The largest singular value, which no element exceeds: std sqrt(longer side of one matrix)."""
        if geometry.blocks:
            return Blocks((self,) * len(geometry.blocks)).limit(geometry)
        _, _, rows, columns = matrix_stack("Orthogonal.limit", geometry)
        return self.std(geometry) * math.sqrt(max(rows, columns))

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """Reflections drawn from the key's stream, multiplied, then the window cut out.

        Matrix number i of the stack of (experts and groups), with sides n <= m, uses the elements [i, k, j], k <= j, of
        a normal tensor of shape (stack, n, m).
        """
        if geometry.blocks:
            return Blocks((self,) * len(geometry.blocks)).draw(geometry, key, window=window)
        _, groups, rows, columns = matrix_stack("Orthogonal.draw", geometry)
        taken = checked_window("Orthogonal.draw", geometry.shape, window)
        if math.prod(geometry.shape) == 0 or not all(taken):
            return np.zeros([len(part) for part in taken], dtype=np.float32)
        # Of stacked weights only those that the window touches are made.
        stack = tuple(geometry.shape[axis] for axis in geometry.batch_axes)
        made = tuple(slice(taken[axis].start, taken[axis].stop) for axis in geometry.batch_axes)
        n, m = sorted((rows, columns))

        def normal(start: int, stop: int) -> npt.NDArray[np.float32]:
            part = (*made, slice(0, groups), slice(start, stop), slice(start, m))
            return fill("normal", (*stack, groups, n, m), key, window=part)

        count = math.prod(len(taken[axis]) for axis in geometry.batch_axes)
        matrices = haar((*(len(taken[axis]) for axis in geometry.batch_axes), groups, rows, columns), normal)
        matrices *= np.float32(self.std(geometry) * math.sqrt(m))
        shape = tuple(
            len(taken[axis]) if axis in geometry.batch_axes else size for axis, size in enumerate(geometry.shape)
        )
        whole = from_matrices(replace(geometry, shape=shape), matrices.reshape(count, groups, rows, columns))
        cut = tuple(
            slice(None) if axis in geometry.batch_axes else slice(part.start, part.stop)
            for axis, part in enumerate(taken)
        )
        return np.ascontiguousarray(whole[cut])

    def scaled(self, factor: float) -> Orthogonal:
        """Orthogonal(factor * gain)."""
        return Orthogonal(finite("Orthogonal.scaled", "factor", factor, at_least=0.0) * self.gain)

    def describe(self) -> str:
        """E.g. "orthogonal(gain=1)"."""
        return f"orthogonal(gain={self.gain:.4g})"
