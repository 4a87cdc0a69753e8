"""ConvolutionOrthogonal: a convolution with full support that is an exact isometry under circular padding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ShapeError, message
from penstock.geometry import Geometry
from penstock.randomness import fill, key_for
from penstock.recipes.recipe import Moments, finite
from penstock.recipes.structured import Structured, kernel_sizes, rotations, rotations_of, taps, with_taps


@final
@dataclass(frozen=True, slots=True)
class ConvolutionOrthogonal(Structured):
    r"""A kernel in 1, 2, 3 or more dimensions whose convolution with circular padding keeps the norm of every input.

    .. math::  K = \mathrm{gain}\; H \ast [P_1, I - P_1] \ast [P_2, I - P_2] \ast \ldots

    H is a Haar-distributed map from inputs to outputs. Each two-tap factor sends the part of the signal that the random
    projection P sees one way and the rest one step further; both ways are exact. k - 1 such factors along each axis
    make a kernel of size k. The rank of P is binomial: each direction is kept with probability one half.

    Attributes:
        gain: norm out over norm in, >= 0.

    Examples:
        >>> geometry = Geometry((4, 2, 3), in_axes=(1,), out_axes=(0,), window_axes=(2,))
        >>> w = ConvolutionOrthogonal().draw(geometry, 7)
        >>> bool(np.isclose((w**2).sum(), 2.0, atol=1e-5))
        True
    """

    gain: float = 1.0

    name: ClassVar[str] = "convolution_orthogonal"
    formula: ClassVar[str] = "K = gain H * [P_1, I - P_1] * ..., random projections P_i: an isometry in a circle"
    when: ClassVar[str] = "deep plain convolutional networks with circular padding that should use all taps; in <= out"
    source: ClassVar[str] = "Xiao et al. 2018, algorithm 1, arXiv:1806.05393; Kautsky & Turcajová 1994"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("ConvolutionOrthogonal", "gain", self.gain, at_least=0.0))

    def whole_moments(self, geometry: Geometry) -> Moments:
        """0 and gain / sqrt(rows * taps): the kernel's sum of squares is that of an isometry, gain^2 * inputs."""
        rows = _rows("ConvolutionOrthogonal.moments", geometry)
        size = math.prod(geometry.shape)
        return Moments(0.0, self.gain / math.sqrt(rows * taps(geometry)) if size else 0.0)

    def whole_limit(self, geometry: Geometry) -> float:
        """The gain: an element is a mean over frequencies, at each of which all singular values are the gain."""
        _rows("ConvolutionOrthogonal.limit", geometry)
        return self.gain

    def whole(self, geometry: Geometry, key: int) -> npt.NDArray[np.floating]:
        """The rotation, then one factor after the other, axis by axis."""
        _rows("ConvolutionOrthogonal.draw", geometry)
        start = rotations_of("ConvolutionOrthogonal.draw", geometry, key)
        stacked, groups, rows, inputs = start.shape
        sizes = [geometry.shape[axis] for axis in geometry.window_axes]
        if math.prod(geometry.shape) == 0:
            return np.zeros(geometry.shape)
        kernels = self.gain * start.reshape(stacked * groups, rows, inputs, *[1] * len(sizes))
        for axis, size in enumerate(sizes):
            for step in range(size - 1):
                keep = _projections(key_for(key, "projection", str(axis), str(step)), stacked * groups, rows)
                kernels = _lengthened(kernels, keep, axis + 3)
        return with_taps(geometry, kernels.reshape(stacked, groups, rows, inputs, -1))


def _lengthened(kernels: npt.NDArray[np.float64], keep: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    """The kernels followed by the two-tap factor [P, I - P] along one axis, which grows by one."""
    kept = np.einsum("sop,spi...->soi...", keep, kernels)
    longer = [(0, 1) if a == axis else (0, 0) for a in range(kernels.ndim)]
    later = [(1, 0) if a == axis else (0, 0) for a in range(kernels.ndim)]
    return np.pad(kept, longer) + np.pad(kernels - kept, later)


def _projections(key: int, stack: int, size: int) -> npt.NDArray[np.float64]:
    """Orthogonal projections onto random subspaces, Q diag(m) Q^T with each m 0 or 1 alike."""
    bases = rotations(key_for(key, "basis"), stack, size, size)
    mask = fill("uniform", (stack, 1, size), key_for(key, "mask")) > 0
    return (bases * mask) @ bases.swapaxes(1, 2)


def _rows(function: str, geometry: Geometry) -> int:
    """Outputs of one group."""
    _, _, rows, inputs = kernel_sizes(function, geometry)
    if not geometry.window_axes or inputs > rows:
        raise ShapeError(
            message(
                f"{function}: a convolution with as many outputs as inputs or more in a group is needed; got {inputs} "
                f"inputs and {rows} outputs for shape {geometry.shape}, window_axes={geometry.window_axes}.",
                because="no map to fewer dimensions keeps the norm",
                hint="Orthogonal(gain), which keeps the RMS on average",
            )
        )
    return rows
