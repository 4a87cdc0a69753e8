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
from penstock.recipes.matrices import from_matrices, matrix_stack, to_matrices
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

    Limits: QR in float64 rounds differently between linear-algebra libraries, so values agree on all machines to about
    1e-7 of the largest and are bit-identical only where the library is the same.

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
        "Saxe, McClelland, Ganguli 2014, arXiv:1312.6120; Mezzadri 2007, math-ph/0609050 (sign correction); "
        "Martens et al. 2021, arXiv:2110.01765 (factor for widening layers)"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("Orthogonal", "gain", self.gain, at_least=0.0))

    def moments(self, geometry: Geometry) -> Moments:
        """0 and gain / sqrt(fan_in)."""
        fan_in = geometry.fans.fan_in
        return Moments(0.0, self.gain / math.sqrt(fan_in) if fan_in else 0.0)

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """Gaussian matrices from the key's stream, orthogonalised, then the window cut out."""
        if geometry.blocks:
            return Blocks((self,) * len(geometry.blocks)).draw(geometry, key, window=window)
        _, _, rows, columns = matrix_stack("Orthogonal.draw", geometry)
        taken = checked_window("Orthogonal.draw", geometry.shape, window)
        # Of stacked weights only those that the window touches are made.
        made = tuple(
            slice(part.start, part.stop) if axis in geometry.batch_axes else slice(0, geometry.shape[axis])
            for axis, part in enumerate(taken)
        )
        part = replace(geometry, shape=tuple(piece.stop - piece.start for piece in made))
        gaussian = fill("normal", geometry.shape, key, window=made)
        if gaussian.size == 0:
            return np.zeros([len(part) for part in taken], dtype=np.float32)
        factor = self.std(geometry) * math.sqrt(max(rows, columns))
        rotations = factor * haar(to_matrices("Orthogonal.draw", part, gaussian))
        whole = from_matrices(part, rotations.astype(np.float32))
        cut = tuple(
            slice(None) if axis in geometry.batch_axes else slice(piece.start, piece.stop)
            for axis, piece in enumerate(taken)
        )
        return np.ascontiguousarray(whole[cut])

    def scaled(self, factor: float) -> Orthogonal:
        """Orthogonal(factor * gain)."""
        return Orthogonal(finite("Orthogonal.scaled", "factor", factor, at_least=0.0) * self.gain)

    def describe(self) -> str:
        """E.g. "orthogonal(gain=1)"."""
        return f"orthogonal(gain={self.gain:.4g})"


def haar(gaussian: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Haar-distributed matrices from Gaussian ones: orthonormal rows where wide, orthonormal columns where tall.

    The Q of a QR decomposition is not Haar-distributed, because LAPACK picks its signs; multiplying each column by the
    sign of R's diagonal mends that. np.sign would wipe out a column where the diagonal is 0.

    Args:
        gaussian: independent N(0, 1) elements, shape (..., rows, columns).

    Returns:
        Q, same shape.

    Source:
        Mezzadri 2007, "How to generate random matrices from the classical compact groups", section 5
    """
    wide = gaussian.shape[-2] < gaussian.shape[-1]
    tall = np.asarray(gaussian.swapaxes(-1, -2) if wide else gaussian, dtype=np.float64)
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diagonal(r, axis1=-2, axis2=-1) < 0.0, -1.0, 1.0)[..., None, :]
    return q.swapaxes(-1, -2) if wide else q
