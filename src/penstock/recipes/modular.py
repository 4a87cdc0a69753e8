"""Modular: rotations of spectral norm exactly sqrt(out / in), the natural size of a matrix between RMS norms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.randomness import key_for
from penstock.recipes.matrices import from_matrices, matrix_stack
from penstock.recipes.recipe import Moments, finite
from penstock.recipes.structured import Structured, rotations, taps


@final
@dataclass(frozen=True, slots=True)
class Modular(Structured):
    r"""A Haar-distributed (semi-)orthogonal matrix times gain * sqrt(out / in), the norm under which updates add up.

    Every singular value is gain * sqrt(out / in): no input's RMS grows by more than `gain`. Layers that narrow keep the
    RMS only of inputs that lie in the row space, where `Orthogonal` keeps it on average. A convolution's taps each have
    their own rotation, divided by their number.

    Attributes:
        gain: largest RMS out over RMS in, >= 0.

    Examples:
        >>> w = Modular().draw(Geometry((8, 2), in_axes=(1,), out_axes=(0,)), 7)
        >>> np.linalg.svd(w)[1].round(5).tolist()
        [2.0, 2.0]
    """

    gain: float = 1.0

    name: ClassVar[str] = "modular"
    formula: ClassVar[str] = "W = gain sqrt(out/in) Q, Q Haar-distributed (semi-)orthogonal"
    when: ClassVar[str] = "training with orthogonalised or spectrally normalised updates (Muon, Modula)"
    source: ClassVar[str] = (
        "Large et al. 2024, arXiv:2405.14813; the exact form of the spectral condition, arXiv:2310.17813"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("Modular", "gain", self.gain, at_least=0.0))

    def whole_moments(self, geometry: Geometry) -> Moments:
        """0 and factor / sqrt(longer side)."""
        _, _, rows, columns = matrix_stack("Modular.moments", geometry)
        size = taps(geometry)
        if rows == 0 or columns == 0:
            return Moments(0.0, 0.0)
        inputs = columns // size
        return Moments(0.0, self._factor(rows, inputs, size) / math.sqrt(max(rows, inputs)))

    def whole_limit(self, geometry: Geometry) -> float:
        """The singular values of one tap, which no element exceeds."""
        _, _, rows, columns = matrix_stack("Modular.limit", geometry)
        size = taps(geometry)
        return self._factor(rows, columns // size, size) if rows and columns else 0.0

    def whole(self, geometry: Geometry, key: int) -> npt.NDArray[np.floating]:
        """One rotation for each tap of each group."""
        stacked, groups, rows, columns = matrix_stack("Modular.draw", geometry)
        size = taps(geometry)
        if stacked * groups * rows * columns == 0:
            return np.zeros(geometry.shape)
        inputs = columns // size
        each = rotations(key_for(key, "rotations"), stacked * groups * size, rows, inputs)
        kernels = self._factor(rows, inputs, size) * each.reshape(stacked, groups, size, rows, inputs)
        flat = kernels.transpose(0, 1, 3, 4, 2).reshape(stacked, groups, rows, columns)
        return from_matrices(geometry, flat.astype(np.float32))

    def _factor(self, rows: int, inputs: int, size: int) -> float:
        return self.gain * math.sqrt(rows / inputs) / size
