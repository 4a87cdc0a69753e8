"""CyclicIdentity: an identity that begins again where it ends, so that no unit of a rectangular layer is left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.recipes.matrices import from_matrices, matrix_stack
from penstock.recipes.recipe import finite
from penstock.recipes.structured import Fixed


@final
@dataclass(frozen=True, slots=True)
class CyclicIdentity(Fixed):
    """W[o, i] = gain where o = i modulo the shorter side, else 0; convolutions on their flattened (out, in * window).

    The rank is full, which it is not for an identity padded by zeros. Copies of a unit stay the same under plain
    gradient descent with full batches; momentum and stochastic batches break the tie.

    Attributes:
        gain: the value of the ones: 1 on the main path, 1e-6 for the last layer of a residual branch ("IDIZ"), which
            starts almost at zero and yet lets gradients pass.

    Limits: the published rule also orders a convolution's taps before flattening; here they are row-major.

    Examples:
        >>> CyclicIdentity().draw(Geometry((3, 2), in_axes=(1,), out_axes=(0,)), 0)
        array([[1., 0.],
               [0., 1.],
               [1., 0.]], dtype=float32)
    """

    gain: float = 1.0

    name: ClassVar[str] = "cyclic_identity"
    formula: ClassVar[str] = "W[o, i] = gain where o = i mod min(out, in), else 0"
    when: ClassVar[str] = (
        "residual networks that start as identities (IDInit): gain 1, and 1e-6 for a branch's last layer"
    )
    source: ClassVar[str] = "Pan et al. 2025 (IDInit), arXiv:2503.04626"

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", finite("CyclicIdentity", "gain", self.gain))

    def whole(self, geometry: Geometry, key: int) -> npt.NDArray[np.floating]:
        """The pattern in every group and stacked weight; the key plays no part."""
        stack = matrix_stack("CyclicIdentity.draw", geometry)
        shorter = max(1, min(stack[2], stack[3]))
        pattern = np.arange(stack[2])[:, None] % shorter == np.arange(stack[3]) % shorter
        return from_matrices(geometry, np.broadcast_to(self.gain * pattern, stack).astype(np.float32))
