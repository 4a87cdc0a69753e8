"""Parameters of state-space models that follow from others."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.randomness import fill, key_for
from penstock.recipes.arguments import count
from penstock.recipes.entry import CatalogueEntry
from penstock.recipes.hippo import hippo_legs_diagonal

Complex = npt.NDArray[np.complex128]


class S5Arrays(NamedTuple):
    """The state matrices of an S5 layer, of each conjugate pair the one with positive imaginary part.

    Attributes:
        eigenvalues: shape (state / 2,).
        b: shape (state / 2, features).
        c: shape (features, state / 2); the output is 2 Re(c x).
    """

    eigenvalues: Complex
    b: Complex
    c: Complex


def s5_arrays(state: int, *, features: int, key: int) -> S5Arrays:
    r"""Eigenvalues, B and C of S5: real LeCun-normal matrices in the eigenbasis of HiPPO-LegS's normal part.

    .. math::  A + P P^\top = V \Lambda V^*, \quad \tilde B = V^* B, \quad \tilde C = C V

    Args:
        state: P, size of the state before conjugates are left out; even.
        features: size of input and output.
        key: 64 bits, from `penstock.randomness.key_for`.

    Returns:
        The arrays, complex128. The layer computes what the real (A + P P^T, B, C) would.

    Examples:
        >>> arrays = s5_arrays(8, features=3, key=7)
        >>> arrays.eigenvalues.real.round(6).tolist(), arrays.b.shape, arrays.c.shape
        ([-0.5, -0.5, -0.5, -0.5], (4, 3), (3, 4))

    Source:
        Smith, Warrington, Linderman 2022, https://arxiv.org/abs/2208.04933
    """
    size, features = count("s5_arrays", "state", state), count("s5_arrays", "features", features)
    if size % 2:
        raise ArgumentError(message(f"s5_arrays: state must be even; got {size}.", because="states come in pairs"))
    values, vectors = hippo_legs_diagonal(size)
    kept, half = vectors[:, size // 2 :], values[size // 2 :]
    b = fill("normal", (size, features), key_for(key, "B")).astype(np.float64) / math.sqrt(features)
    c = fill("normal", (features, size), key_for(key, "C")).astype(np.float64) / math.sqrt(size)
    return S5Arrays(half, kept.conj().T @ b, c @ kept)


def lru_gamma_log(nu_log: npt.ArrayLike) -> npt.NDArray[np.float64]:
    r"""The logarithm of the input's factor that gives each state of a linear recurrent unit variance 1.

    .. math::  \gamma_{\log} = \log \sqrt{1 - |\lambda|^2}, \quad |\lambda| = e^{-e^{\nu_{\log}}}

    Args:
        nu_log: drawn by `penstock.recipes.Ring`.

    Returns:
        float64, the same shape.

    Examples:
        >>> np.exp(lru_gamma_log([np.log(-np.log(0.6))])).round(6).tolist()
        [0.8]

    Source:
        Orvieto et al. 2023, https://arxiv.org/abs/2303.06349
    """
    rate = np.exp(np.asarray(nu_log, dtype=np.float64))
    return 0.5 * np.log(-np.expm1(-2.0 * rate))


ENTRIES = (
    CatalogueEntry(
        "s5_arrays",
        "B~ = V* B, C~ = C V, V the eigenvectors of HiPPO-LegS's normal part",
        "S5 layers",
        "Smith, Warrington, Linderman 2022, arXiv:2208.04933",
        "from values",
    ),
    CatalogueEntry(
        "lru_gamma_log",
        "gamma_log = log sqrt(1 - |lambda|^2)",
        "linear recurrent units",
        "Orvieto et al. 2023, arXiv:2303.06349",
        "from values",
    ),
)
