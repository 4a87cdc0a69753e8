"""Sparse: a fixed number of Gaussian weights a unit, all others zero."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.randomness import fill, key_for
from penstock.recipes.arguments import count, one_of
from penstock.recipes.matrices import from_matrices, matrix_stack
from penstock.recipes.recipe import Moments, finite
from penstock.recipes.structured import Structured


@final
@dataclass(frozen=True, slots=True)
class Sparse(Structured):
    r"""Exactly `nonzero` elements of each unit are N(0, gain^2), at random places; a unit with fewer inputs keeps all.

    Every output unit then gets input of variance nonzero * gain^2 from inputs of RMS 1, whatever the fan-in, and units
    start out different. gain = 1 / sqrt(nonzero) keeps the RMS.

    Attributes:
        nonzero: nonzero elements a unit, >= 1.
        per: "output" counts the incoming weights of each output unit, as published; "input" the outgoing weights of
            each input unit, which is what PyTorch's `sparse_` does on its (out, in) weights.
        gain: standard deviation of the nonzero elements, >= 0.

    Examples:
        >>> w = Sparse(3).draw(Geometry((5, 8), in_axes=(1,), out_axes=(0,)), 7)
        >>> (w != 0).sum(axis=1).tolist()
        [3, 3, 3, 3, 3]
    """

    nonzero: int = 15
    per: Literal["output", "input"] = "output"
    gain: float = 1.0

    name: ClassVar[str] = "sparse"
    formula: ClassVar[str] = "w ~ N(0, gain^2) for `nonzero` random inputs of each unit, else 0"
    when: ClassVar[str] = "wide layers of saturating units, deep autoencoders and RNNs trained by second-order methods"
    source: ClassVar[str] = "Martens 2010, Deep learning via Hessian-free optimization, section 5"

    def __post_init__(self) -> None:
        object.__setattr__(self, "nonzero", count("Sparse", "nonzero", self.nonzero))
        one_of("Sparse", "per", self.per, ("output", "input"))
        object.__setattr__(self, "gain", finite("Sparse", "gain", self.gain, at_least=0.0))

    def whole_moments(self, geometry: Geometry) -> Moments:
        """0 and gain * sqrt(share of nonzero elements)."""
        _, _, rows, columns = matrix_stack("Sparse.moments", geometry)
        along = columns if self.per == "output" else rows
        return Moments(0.0, self.gain * math.sqrt(min(self.nonzero, along) / along) if along else 0.0)

    def whole(self, geometry: Geometry, key: int) -> npt.NDArray[np.floating]:
        """Normal values, kept where an independent uniform value is among the unit's smallest."""
        stack = matrix_stack("Sparse.draw", geometry)
        values = fill("normal", stack, key, scale=self.gain)
        axis = 3 if self.per == "output" else 2
        order = np.argsort(fill("uniform", stack, key_for(key, "places")), axis=axis, kind="stable")
        dropped = np.take(order, range(min(self.nonzero, stack[axis]), stack[axis]), axis=axis)
        np.put_along_axis(values, dropped, np.float32(0.0), axis=axis)
        return from_matrices(geometry, values)
