"""Hippo: the matrices of HiPPO-LegS, with which a state remembers its whole past in Legendre polynomials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
import numpy.typing as npt

from penstock.errors import ShapeError, message
from penstock.geometry import Geometry
from penstock.recipes.arguments import count, one_of
from penstock.recipes.recipe import finite
from penstock.recipes.structured import Fixed

Floats = npt.NDArray[np.float64]


def hippo_legs(size: int) -> tuple[Floats, Floats, Floats]:
    r"""A, B and P of x' = A x + B u for scaled Legendre polynomials, and the rank-one part P P^T of A.

    .. math::
        A_{nk} = -\sqrt{(2n+1)(2k+1)}\; (n > k), \quad -(n + 1)\; (n = k), \quad 0\; (n < k);
        \quad B_n = \sqrt{2n+1}, \quad P_n = \sqrt{n + 1/2}

    A has the eigenvalues -1 ... -N, and A + P P^T + I / 2 is skew-symmetric.

    Args:
        size: N, number of polynomials. >= 1.

    Returns:
        A of shape (N, N), B of shape (N,), P of shape (N,); float64.

    Examples:
        >>> a, b, p = hippo_legs(3)
        >>> sorted(np.linalg.eigvals(a).real.round(6).tolist())
        [-3.0, -2.0, -1.0]

    Source:
        Gu, Goel, Ré 2021 (S4), eq. 2 and appendix C, https://arxiv.org/abs/2111.00396
    """
    n = np.arange(count("hippo_legs", "size", size), dtype=np.float64)
    b = np.sqrt(2.0 * n + 1.0)
    return 0.0 - np.tril(np.outer(b, b), -1) - np.diag(n + 1.0), b, np.sqrt(n + 0.5)


def hippo_legs_diagonal(size: int) -> tuple[npt.NDArray[np.complex128], npt.NDArray[np.complex128]]:
    """Eigenvalues and eigenvectors of the normal part A + P P^T, in which S4, S5 and S4D-LegS work.

    Args:
        size: N, number of polynomials, conjugates included. >= 1.

    Returns:
        The eigenvalues -1/2 + i w sorted by w, shape (N,), and the unitary V of shape (N, N) with
        A + P P^T = V diag(...) V^*.

    Examples:
        >>> values, v = hippo_legs_diagonal(4)
        >>> values.real.round(6).tolist()
        [-0.5, -0.5, -0.5, -0.5]

    Source:
        Gu, Goel, Ré 2021 (S4), theorem 1; Smith, Warrington, Linderman 2022 (S5), https://arxiv.org/abs/2208.04933
    """
    a, _, p = hippo_legs(size)
    skew = a + np.outer(p, p) + 0.5 * np.eye(size)
    # i times a skew-symmetric matrix is Hermitian: its eigenvalues come out real and in order.
    frequencies, vectors = np.linalg.eigh(-1j * skew)
    return np.asarray(-0.5 + 1j * frequencies, dtype=np.complex128), vectors


@final
@dataclass(frozen=True, slots=True)
class Hippo(Fixed):
    """One array of HiPPO-LegS for each leading index: the last axis, or for "A" the last two, hold the state.

    Attributes:
        part: "A" of shape (..., N, N), "B" or "P" of shape (..., N).
        gain: multiplies all values.

    Examples:
        >>> Hippo("A").draw(Geometry((2, 2)), 0).round(3).tolist()
        [[-1.0, 0.0], [-1.7319999933242798, -2.0]]
    """

    part: Literal["A", "B", "P"] = "A"
    gain: float = 1.0

    name: ClassVar[str] = "hippo"
    formula: ClassVar[str] = (
        "A_nk = -sqrt((2n+1)(2k+1)) for n > k, -(n+1) for n = k; B_n = sqrt(2n+1); P_n = sqrt(n+1/2)"
    )
    when: ClassVar[str] = "state matrices of S4 and its kin"
    source: ClassVar[str] = "Gu et al. 2020 (HiPPO), arXiv:2008.07669; Gu, Goel, Ré 2021 (S4), arXiv:2111.00396"

    def __post_init__(self) -> None:
        one_of("Hippo", "part", self.part, ("A", "B", "P"))
        object.__setattr__(self, "gain", finite("Hippo", "gain", self.gain))

    def whole(self, geometry: Geometry, key: int) -> npt.NDArray[np.floating]:
        """The array, repeated over the leading axes; the key plays no part."""
        shape = geometry.shape
        if len(shape) < (2 if self.part == "A" else 1) or (self.part == "A" and shape[-1] != shape[-2]):
            wanted = "(..., N, N)" if self.part == "A" else "(..., N)"
            raise ShapeError(message(f"Hippo.draw: part={self.part!r} needs the shape {wanted}; got {shape}."))
        if 0 in shape:
            return np.zeros(shape)
        a, b, p = hippo_legs(shape[-1])
        return np.broadcast_to(self.gain * {"A": a, "B": b, "P": p}[self.part], shape)
