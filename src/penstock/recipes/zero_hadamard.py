"""ZerO: zeros, ones and Hadamard signs only, so that nothing at the start is random."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.recipes.matrices import matrix_stack
from penstock.recipes.recipe import finite
from penstock.recipes.structured import Fixed, centre_tap, taps, with_taps


@final
@dataclass(frozen=True, slots=True)
class ZerO(Fixed):
    r"""The partial identity where a layer does not widen, a piece of the Hadamard matrix where it does.

    .. math::  W = I\, H_p\, 2^{-p/2}\, I, \quad p = \lceil \log_2 \mathrm{out} \rceil

    The Hadamard matrix spreads the inputs over all new units, so the rank can grow in training, which copies padded by
    zeros would prevent. Its columns are orthonormal where `out` is a power of two. Convolutions use their centre tap,
    (k - 1) // 2. In residual networks the last layer of each branch is `Constant(0.0)` instead.

    Attributes:
        gain: multiplies all values.

    Examples:
        >>> ZerO().draw(Geometry((4, 2), in_axes=(1,), out_axes=(0,)), 0)
        array([[ 0.5,  0.5],
               [ 0.5, -0.5],
               [ 0.5,  0.5],
               [ 0.5, -0.5]], dtype=float32)
    """

    gain: float = 1.0

    name: ClassVar[str] = "zero_hadamard"
    formula: ClassVar[str] = "W = I (partial) for out <= in, else I H_p 2^(-p/2) I, H_p Hadamard, p = ceil(log2 out)"
    when: ClassVar[str] = "residual networks that should start without any randomness"
    source: ClassVar[str] = "Zhao, Schäfer, Anandkumar 2022 (ZerO), arXiv:2110.12661, algorithm 1 and its code"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("ZerO", "gain", self.gain))

    def whole(self, geometry: Geometry, key: int) -> npt.NDArray[np.floating]:
        """The matrix on the centre tap; the key plays no part."""
        stacked, groups, rows, columns = matrix_stack("ZerO.draw", geometry)
        inputs = columns // taps(geometry) if taps(geometry) else 0
        kernels = np.zeros((stacked, groups, rows, inputs, taps(geometry)))
        if kernels.size:
            kernels[..., centre_tap(geometry)] = self.gain * _matrix(rows, inputs)
        return with_taps(geometry, kernels)


def _matrix(rows: int, columns: int) -> npt.NDArray[np.float64]:
    if rows <= columns:
        return np.eye(rows, columns)
    # Sylvester's Hadamard matrix: the sign is the parity of the bits that both indices share.
    shared = np.arange(rows)[:, None] & np.arange(columns)
    power = math.ceil(math.log2(rows))
    odd = sum((shared >> bit) & 1 for bit in range(power)) % 2
    return (1.0 - 2.0 * odd) * 2.0 ** (-power / 2)
