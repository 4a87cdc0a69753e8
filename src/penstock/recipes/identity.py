"""Identity: outputs repeat inputs; for convolutions the Dirac kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.randomness import Window
from penstock.randomness.windows import checked_window
from penstock.recipes.blocks import Blocks
from penstock.recipes.matrices import from_matrices, matrix_stack
from penstock.recipes.recipe import Moments, Recipe, finite


@final
@dataclass(frozen=True, slots=True)
class Identity(Recipe):
    """Output unit d of each group repeats its input unit d, times the gain; all other elements are 0.

    Convolutions put the 1 on the centre tap, k // 2 on each axis (as PyTorch's `dirac_` for even k). With more outputs
    than inputs the rest stays 0, so RMS out = gain * sqrt(in / out) * RMS in; with fewer, the rest is not read. Groups,
    stacked weights and fused blocks each get their own identity.

    Attributes:
        gain: the value of the ones.

    Examples:
        >>> Identity(2.0).draw(Geometry((2, 3), in_axes=(1,), out_axes=(0,)), 0)
        array([[2., 0., 0.],
               [0., 2., 0.]], dtype=float32)
    """

    gain: float = 1.0

    name: ClassVar[str] = "identity"
    formula: ClassVar[str] = "w[d, d, centre] = gain, else 0"
    when: ClassVar[str] = "recurrent ReLU weights and convolutions that should start by passing their input on"
    source: ClassVar[str] = "Le, Jaitly, Hinton 2015, arXiv:1504.00941"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("Identity", "gain", self.gain))

    def moments(self, geometry: Geometry) -> Moments:
        """Exact moments over all elements, ones and zeros."""
        size = math.prod(geometry.shape)
        if size == 0:
            return Moments(0.0, 0.0)
        parts = [geometry.block(i) for i in range(len(geometry.blocks))] or [geometry]
        share = sum(_ones(part) for part in parts) / size
        return Moments(self.gain * share, abs(self.gain) * math.sqrt(share * (1.0 - share)))

    def limit(self, geometry: Geometry) -> float:
        """The gain's magnitude."""
        return abs(self.gain)

    def draw(self, geometry: Geometry, key: int, *, window: Window | None = None) -> npt.NDArray[np.float32]:
        """The identity; the key plays no part."""
        if geometry.blocks:
            return Blocks((self,) * len(geometry.blocks)).draw(geometry, key, window=window)
        taken = checked_window("Identity.draw", geometry.shape, window)
        stack = matrix_stack("Identity.draw", geometry)
        taps = [geometry.shape[axis] for axis in geometry.window_axes]
        matrices = np.zeros(stack, dtype=np.float32)
        if matrices.size:
            centre = int(np.ravel_multi_index([size // 2 for size in taps], taps)) if taps else 0
            units = np.arange(min(stack[2], stack[3] // math.prod(taps)))
            matrices[:, :, units, units * math.prod(taps) + centre] = self.gain
        whole = from_matrices(geometry, matrices)
        return np.ascontiguousarray(whole[tuple(slice(part.start, part.stop) for part in taken)])

    def scaled(self, factor: float) -> Identity:
        """Identity(factor * gain)."""
        return Identity(finite("Identity.scaled", "factor", factor, at_least=0.0) * self.gain)

    def describe(self) -> str:
        """E.g. "identity(gain=1)"."""
        return f"identity(gain={self.gain:.4g})"


def _ones(geometry: Geometry) -> int:
    stacked, groups, rows, columns = matrix_stack("Identity.moments", geometry)
    taps = math.prod(geometry.shape[axis] for axis in geometry.window_axes)
    return stacked * groups * min(rows, columns // taps)
