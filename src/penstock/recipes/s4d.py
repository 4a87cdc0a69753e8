"""S4D: eigenvalues of diagonal state-space models, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ShapeError, message
from penstock.geometry import Geometry
from penstock.recipes.arguments import count, one_of
from penstock.recipes.hippo import hippo_legs_diagonal
from penstock.recipes.recipe import finite
from penstock.recipes.structured import Fixed

Law = Literal["lin", "inv", "legs", "real"]
Part = Literal["real", "imag", "log_decay"]


def s4d_eigenvalues(size: int, *, law: Law = "lin") -> npt.NDArray[np.complex128]:
    r"""The diagonal of A, of each conjugate pair the one with imaginary part >= 0.

    .. math::
        \text{lin: } -\tfrac12 + i \pi n, \quad
        \text{inv: } -\tfrac12 + \tfrac{i N}{\pi} \left(\tfrac{N}{2n+1} - 1\right), \quad \text{real: } -(n + 1),

    with N = 2 size; "legs": the eigenvalues of the normal part of HiPPO-LegS, of which "inv" is a fit.

    Args:
        size: how many are kept, half the state. >= 1.
        law: "lin" (the usual choice), "inv", "legs" or "real".

    Returns:
        Shape (size,).

    Examples:
        >>> s4d_eigenvalues(3).round(4).tolist()
        [(-0.5+0j), (-0.5+3.1416j), (-0.5+6.2832j)]

    Source:
        Gu, Gupta, Goel, Ré 2022 (S4D), section 4, https://arxiv.org/abs/2206.11893
    """
    n = np.arange(count("s4d_eigenvalues", "size", size), dtype=np.float64)
    one_of("s4d_eigenvalues", "law", law, ("lin", "inv", "legs", "real"))
    whole = 2.0 * size
    if law == "real":
        return (-(n + 1.0)).astype(np.complex128)
    if law == "legs":
        return hippo_legs_diagonal(2 * size)[0][size:]
    frequencies = math.pi * n if law == "lin" else whole / math.pi * (whole / (2.0 * n + 1.0) - 1.0)
    return np.asarray(-0.5 + 1j * frequencies, dtype=np.complex128)


@final
@dataclass(frozen=True, slots=True)
class S4D(Fixed):
    """One part of the eigenvalues along the last axis, the same for every leading index.

    Attributes:
        law: see `s4d_eigenvalues`.
        part: "real" or "imag" as they are; "log_decay" for log(-real), which models store to keep the real part
            negative.
        gain: multiplies all values.

    Examples:
        >>> S4D("lin", "imag").draw(Geometry((2, 3)), 0).round(4).tolist()[0]
        [0.0, 3.1415998935699463, 6.283199787139893]
    """

    law: Law = "lin"
    part: Part = "imag"
    gain: float = 1.0

    name: ClassVar[str] = "s4d"
    formula: ClassVar[str] = "A_n = -1/2 + i pi n (lin); -1/2 + i N/pi (N/(2n+1) - 1) (inv); -(n+1) (real)"
    when: ClassVar[str] = "diagonal state-space models"
    source: ClassVar[str] = "Gu, Gupta, Goel, Ré 2022 (S4D), arXiv:2206.11893"

    def __post_init__(self) -> None:
        one_of("S4D", "law", self.law, ("lin", "inv", "legs", "real"))
        one_of("S4D", "part", self.part, ("real", "imag", "log_decay"))
        object.__setattr__(self, "gain", finite("S4D", "gain", self.gain))

    def whole(self, geometry: Geometry, key: int) -> npt.NDArray[np.floating]:
        """The eigenvalues' part, repeated over the leading axes; the key plays no part."""
        shape = geometry.shape
        if not shape:
            raise ShapeError(message("S4D.draw: the shape must be (..., N); got ()."))
        if 0 in shape:
            return np.zeros(shape)
        values = s4d_eigenvalues(shape[-1], law=self.law)
        chosen = {"real": values.real, "imag": values.imag, "log_decay": np.log(-values.real)}[self.part]
        return np.broadcast_to(self.gain * chosen, shape)
