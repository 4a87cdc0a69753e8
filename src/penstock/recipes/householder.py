"""Haar-distributed matrices from reflections that are sampled directly: no factorisation, mostly matrix products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.floating[Any]]

_BLOCK = 256
"""Reflections applied together; half of them for small matrices (both empirical, as is the next number)."""
_BLOCK_FROM = 1024
_TILE = 512
"""Columns of Q at a time, so that a product is subtracted while it is in the cache."""
_SMALL = 32
"""Size of a triangle that is inverted by LAPACK."""
_PRECISE = 1 << 17
"""Matrices of up to so many elements are made in float64: they cost little, and stay as close as LAPACK's."""


def haar(shape: tuple[int, ...], normal: Callable[[int, int], F32]) -> F32:
    r"""Matrices with orthonormal columns (rows where wide), uniform over all such matrices: Haar measure.

    The law is that of the Q of a Gaussian matrix's QR decomposition with R's diagonal made positive. That
    decomposition reflects, column after column, what is left of the matrix onto an axis; what is left is Gaussian
    again and independent of the reflections before, so its first column can be drawn in its place and the matrix itself
    is never needed. With m the longer and n the shorter side:

    .. math::  Q = H_1 H_2 \cdots H_n \begin{pmatrix} \mathrm{diag}(d) \\ 0 \end{pmatrix}, \quad
               H_k = I - v_k v_k^T, \quad d_k = -\operatorname{sign} x_{k1}, \quad
               v_k \propto x_k + \operatorname{sign}(x_{k1})\, \|x_k\|\, e_1, \quad \|v_k\|^2 = 2

    with x_k Gaussian on the axes k..m; transposed where wide. A block of reflections is applied as I - V^T T V, with T
    the inverse of the upper triangle of V V^T whose diagonal is halved: orthogonal for the V that rounding has left.

    Args:
        shape: (..., rows, columns); leading axes stack independent matrices.
        normal: `normal(start, stop)` gives x_k for k = start..stop - 1 as rows, shape (..., stop - start, m - start),
            of independent N(0, 1) elements; row k - start uses those from place k - start on.

    Returns:
        Q, float32. max|Q^T Q - I| is below 1e-6 up to 362 x 362, where products are made in float64, and near 2e-6
        above, where they are made in float32; norms always in float64.

    Source:
        Stewart 1980, "The efficient generation of random orthogonal matrices", SIAM J. Numer. Anal. 17; Mezzadri 2007,
        math-ph/0609050 (signs); Schreiber, Van Loan 1989 (compact WY); Puglisi 1992 (T from V V^T)
    """
    precise = shape[-2] * shape[-1] <= _PRECISE
    made = np.zeros(shape, dtype=np.float64 if precise else np.float32)
    q = made.swapaxes(-1, -2) if shape[-2] < shape[-1] else made
    n = q.shape[-1]
    block = _BLOCK if n > _BLOCK_FROM else _BLOCK // 2
    for start in reversed(range(0, n, block)):
        stop = min(start + block, n)
        size = stop - start
        v, signs = _reflectors(normal(start, stop).astype(made.dtype, copy=False))
        t = _triangle(v)
        head, tail = v[..., :size], v[..., size:]
        for left in range(stop, n, _TILE):
            columns = slice(left, min(left + _TILE, n))
            below = q[..., stop:, columns]
            turned = t @ (tail @ below)
            # Above them these columns are still empty.
            _subtract(q[..., start:stop, columns], head, turned)
            _subtract(below, tail, turned)
        # The block's own columns are diag(d), of which V sees its head.
        _subtract(q[..., start:, start:stop], v, t @ (head * signs[..., None, :]))
        places = np.arange(start, stop)
        q[..., places, places] += signs
    return made.astype(np.float32, copy=False)


def _subtract(part: Floats, v: Floats, turned: Floats) -> None:
    """Take v^T turned from a part of Q, in the order of its memory."""
    if part.strides[-1] == part.itemsize:
        part -= v.swapaxes(-1, -2) @ turned
    else:
        across = part.swapaxes(-1, -2)
        across -= turned.swapaxes(-1, -2) @ v


def _reflectors(x: Floats) -> tuple[Floats, Floats]:
    """v_k as rows, with zeros before place k, and d_k.

    Norms are summed in float64. The sign of 0 is 1, so that no column is lost.
    """
    size = x.shape[-2]
    places = np.arange(size)
    v = x.copy()
    v[..., :size] *= np.tri(size, dtype=v.dtype).T
    first = v[..., places, places].astype(np.float64)
    square = np.einsum("...ij,...ij->...i", v, v, dtype=np.float64)
    signs = np.where(first < 0.0, -1.0, 1.0)
    norm = np.sqrt(square)
    # ||x + sign ||x|| e||^2 = 2 ||x|| (||x|| + |x_1|)
    length = np.sqrt(norm * (norm + np.abs(first)))
    safe = length > 0.0
    scale = np.where(safe, 1.0 / np.where(safe, length, 1.0), 0.0)
    v *= scale[..., None].astype(v.dtype)
    # A column of zeros, which no Gaussian draw is, is reflected on its axis.
    v[..., places, places] = np.where(safe, (first + signs * norm) * scale, np.sqrt(2.0))
    return v, (-signs).astype(v.dtype)


def _triangle(v: Floats) -> Floats:
    """T of I - V T V^T, shape (..., size, size)."""
    gram = (v @ v.swapaxes(-1, -2)).astype(np.float64)
    places = np.arange(gram.shape[-1])
    gram[..., places, places] *= 0.5
    return _inverse_of_upper(gram).astype(v.dtype)


def _inverse_of_upper(matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The inverse of the upper triangle, by halves: products of matrices run faster than LAPACK's small inverses."""
    size = matrix.shape[-1]
    if size <= _SMALL:
        return np.linalg.inv(np.triu(matrix))
    half = size // 2
    inverse = np.zeros_like(matrix)
    first = inverse[..., :half, :half] = _inverse_of_upper(matrix[..., :half, :half])
    last = inverse[..., half:, half:] = _inverse_of_upper(matrix[..., half:, half:])
    inverse[..., :half, half:] = -(first @ (matrix[..., :half, half:] @ last))
    return inverse
