"""SkewRotations: a skew-symmetric matrix whose exponential, or Cayley transform, rotates pairs of units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ShapeError, message
from penstock.geometry import Geometry
from penstock.randomness import fill
from penstock.recipes.arguments import one_of
from penstock.recipes.recipe import Moments, finite
from penstock.recipes.structured import Structured

Law = Literal["cayley", "henaff"]

_STD = {"henaff": math.pi / math.sqrt(3.0), "cayley": math.sqrt(4.0 / math.pi - 1.0)}
"""Root mean square of one angle's entry: t of U(-pi, pi), and tan(t / 2) of U(0, pi / 2), whose mean square is
(2/pi) int_0^(pi/2) tan^2(t/2) dt = 4/pi - 1."""


@final
@dataclass(frozen=True, slots=True)
class SkewRotations(Structured):
    r"""A = blockdiag of [[0, s], [-s, 0]], one block for each pair of units; an odd last unit gets 0.

    "henaff" takes s = t uniform on (-pi, pi), and exp(A) then rotates each pair by t. "cayley" takes s = -tan(t / 2)
    with t uniform on (0, pi / 2): the angles that a Cayley transform (I + A)^{-1} (I - A) makes of it.

    Attributes:
        law: of the angles.
        gain: factor of all elements.

    Examples:
        >>> a = SkewRotations("henaff").draw(Geometry((4, 4), in_axes=(1,), out_axes=(0,)), 0)
        >>> bool((a == -a.T).all()), int((a != 0).sum())
        (True, 4)

    Source:
        Henaff, Szlam, LeCun 2016, section 3, https://arxiv.org/abs/1602.06662; Helfrich, Willmott, Ye 2018, section
        4.1, https://arxiv.org/abs/1707.09520
    """

    law: Law = "cayley"
    gain: float = 1.0

    name: ClassVar[str] = "skew_rotations"
    formula: ClassVar[str] = "A = diag of [[0, s], [-s, 0]], s ~ U(-pi, pi) (henaff) or -tan U(0, pi/4) (cayley)"
    when: ClassVar[str] = "orthogonal recurrences exp(A) or Cayley(A): expRNN, scoRNN"
    source: ClassVar[str] = "Henaff et al. 2016, arXiv:1602.06662; Helfrich et al. 2018, arXiv:1707.09520"

    def __post_init__(self) -> None:
        one_of("SkewRotations", "law", self.law, tuple(_STD))
        object.__setattr__(self, "gain", finite("SkewRotations", "gain", self.gain))

    def whole_moments(self, geometry: Geometry) -> Moments:
        """Mean 0; the root mean square over all elements, most of which are 0."""
        side = _side("SkewRotations.moments", geometry)
        share = 2 * (side // 2) / side**2 if side else 0.0
        return Moments(0.0, abs(self.gain) * _STD[self.law] * math.sqrt(share))

    def whole_limit(self, geometry: Geometry) -> float:
        """The largest s: pi (henaff) or tan(pi / 4) = 1 (cayley), times the gain."""
        _side("SkewRotations.limit", geometry)
        return abs(self.gain) * (math.pi if self.law == "henaff" else 1.0)

    def whole(self, geometry: Geometry, key: int) -> npt.NDArray[np.float64]:
        """The matrix in float64."""
        side = _side("SkewRotations.draw", geometry)
        unit = fill("uniform", (side // 2,), key).astype(np.float64)
        s = math.pi * unit if self.law == "henaff" else -np.tan(math.pi / 8 * (1.0 + unit))
        matrix = np.zeros((side, side))
        first = 2 * np.arange(side // 2)
        matrix[first, first + 1] = self.gain * s
        return matrix - matrix.T


def _side(function: str, geometry: Geometry) -> int:
    shape = geometry.shape
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ShapeError(message(f"{function}: the parameter must be a square matrix; got shape {shape}."))
    return shape[0]
