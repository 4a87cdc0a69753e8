"""DeltaOrthogonal: a rotation on the centre tap of a convolution and nothing elsewhere: an exact isometry."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ShapeError, message
from penstock.geometry import Geometry
from penstock.recipes.arguments import one_of
from penstock.recipes.recipe import Moments, finite
from penstock.recipes.structured import Structured, centre_tap, kernel_sizes, rotations_of, taps, with_taps

Keep = Literal["norm", "rms"]


@final
@dataclass(frozen=True, slots=True)
class DeltaOrthogonal(Structured):
    r"""A Haar-distributed matrix on the centre tap, zeros on all others.

    .. math::  \|y\| = \mathrm{gain}\, \|x\|

    for every input of a convolution with stride 1, padded by zeros or in a circle; kernels of even size must be padded
    on the right side by one more. Groups and stacked weights each have their own rotation.

    Attributes:
        gain: norm out over norm in, >= 0.
        keep: "norm" as published; "rms" multiplies by sqrt(out / in), so that `gain` is RMS out over RMS in, as it is
            of `Orthogonal`.

    Examples:
        >>> w = DeltaOrthogonal().draw(Geometry((4, 2, 3), in_axes=(1,), out_axes=(0,), window_axes=(2,)), 7)
        >>> bool(np.allclose(w[:, :, 1].T @ w[:, :, 1], np.eye(2), atol=1e-6)), float(abs(w[:, :, ::2]).max())
        (True, 0.0)
    """

    gain: float = 1.0
    keep: Keep = "norm"

    name: ClassVar[str] = "delta_orthogonal"
    formula: ClassVar[str] = "W[:, :, centre] = gain Q, Q Haar-distributed with orthonormal columns, else 0"
    when: ClassVar[str] = "very deep plain convolutional networks (10,000 layers of tanh); needs in <= out channels"
    source: ClassVar[str] = "Xiao et al. 2018, algorithm 2, arXiv:1806.05393"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("DeltaOrthogonal", "gain", self.gain, at_least=0.0))
        one_of("DeltaOrthogonal", "keep", self.keep, ("norm", "rms"))

    def whole_moments(self, geometry: Geometry) -> Moments:
        """0 and factor / sqrt(rows * taps): one element in `taps` is on the centre, with E[Q^2] = 1 / rows."""
        rows, inputs = _sizes("DeltaOrthogonal.moments", geometry)
        size = rows * taps(geometry)
        return Moments(0.0, self._factor(rows, inputs) / math.sqrt(size) if size and inputs else 0.0)

    def whole_limit(self, geometry: Geometry) -> float:
        """The singular values, which no element exceeds."""
        return self._factor(*_sizes("DeltaOrthogonal.limit", geometry))

    def whole(self, geometry: Geometry, key: int) -> npt.NDArray[np.floating]:
        """The centre taps from the key's rotations."""
        rows, inputs = _sizes("DeltaOrthogonal.draw", geometry)
        matrices = self._factor(rows, inputs) * rotations_of("DeltaOrthogonal.draw", geometry, key)
        kernels = np.zeros((*matrices.shape, taps(geometry)))
        if kernels.size:
            kernels[..., centre_tap(geometry)] = matrices
        return with_taps(geometry, kernels)

    def _factor(self, rows: int, inputs: int) -> float:
        return self.gain * (math.sqrt(rows / inputs) if self.keep == "rms" and inputs else 1.0)


def _sizes(function: str, geometry: Geometry) -> tuple[int, int]:
    """Outputs and inputs of one group."""
    _, _, rows, inputs = kernel_sizes(function, geometry)
    if inputs > rows:
        raise ShapeError(
            message(
                f"{function}: a group must have as many outputs as inputs or more; got {inputs} inputs and {rows} "
                f"outputs for shape {geometry.shape}.",
                because="no map to fewer dimensions keeps the norm",
                hint="Orthogonal(gain), which keeps the RMS on average",
            )
        )
    return rows, inputs
