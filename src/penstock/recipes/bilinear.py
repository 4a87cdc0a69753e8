"""Bilinear: a strided transposed convolution that starts as linear interpolation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ShapeError, message
from penstock.geometry import Geometry
from penstock.recipes.matrices import matrix_stack
from penstock.recipes.recipe import finite
from penstock.recipes.structured import Fixed, taps, with_taps


@final
@dataclass(frozen=True, slots=True)
class Bilinear(Fixed):
    r"""Output channel d interpolates input channel d of its group; all other pairs are 0.

    .. math::  w(x) = \prod_{axes} \left(1 - |x / f - c|\right), \quad f = \lceil k / 2 \rceil, \;
               c = (2 f - 1 - f \bmod 2) / (2 f)

    For stride s take kernel size 2 s - s mod 2, with which f = s. A constant image stays constant, inside its borders.

    Attributes:
        gain: multiplies all values.

    Examples:
        >>> geometry = Geometry((1, 1, 4), in_axes=(0,), out_axes=(1,), window_axes=(2,), transposed=True, split="out")
        >>> Bilinear().draw(geometry, 0).ravel().tolist()
        [0.25, 0.75, 0.75, 0.25]
    """

    gain: float = 1.0

    name: ClassVar[str] = "bilinear"
    formula: ClassVar[str] = (
        "w[d, d, x, y] = (1 - |x/f - c|)(1 - |y/f - c|), f = ceil(k/2), c = (2f - 1 - f mod 2)/(2f)"
    )
    when: ClassVar[str] = "upsampling by transposed convolution (segmentation)"
    source: ClassVar[str] = "Long, Shelhamer, Darrell 2015, section 3.3, arXiv:1411.4038; Caffe's bilinear filler"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("Bilinear", "gain", self.gain))

    def whole(self, geometry: Geometry, key: int) -> npt.NDArray[np.floating]:
        """The kernel on equal channels; the key plays no part."""
        if not geometry.window_axes:
            raise ShapeError(
                message(
                    f"Bilinear.draw: a convolution is needed; got shape {geometry.shape} without window_axes.",
                    hint="Identity(), for a linear layer",
                )
            )
        stacked, groups, rows, columns = matrix_stack("Bilinear.draw", geometry)
        size = taps(geometry)
        kernels = np.zeros((stacked, groups, rows, columns // size if size else 0, size))
        units = np.arange(min(kernels.shape[2:4]))
        kernels[:, :, units, units] = self.gain * _kernel([geometry.shape[axis] for axis in geometry.window_axes])
        return with_taps(geometry, kernels)


def _kernel(sizes: list[int]) -> npt.NDArray[np.float64]:
    """The product of one tent an axis, flattened."""
    kernel = np.ones(1)
    for size in sizes:
        factor = (size + 1) // 2
        centre = (2 * factor - 1 - factor % 2) / (2.0 * factor) if factor else 0.0
        kernel = np.outer(kernel, 1.0 - np.abs(np.arange(size) / max(factor, 1) - centre)).ravel()
    return kernel
