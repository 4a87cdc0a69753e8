"""Whether a weight is still a plain random draw: its law, told by moments that training does not leave alone."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from penstock.ledger.elements import as_real

LEAST = 4096
"""Elements: with fewer a trained weight can fit a law by chance."""
FEWEST = 8
"""Rows, and columns: the spread of fewer says nothing."""
SIGMAS = 5.0
BLOCK = 2**20


class Known(NamedTuple):
    """A law of independent elements.

    Attributes:
        name: for people.
        kurtosis: E[x^4] / E[x^2]^2.
        peak: largest |x| over the std; for a normal law that of 2^40 draws.
    """

    name: str
    kurtosis: float
    peak: float


# Cut at two std before the cut: variance 1 - 4 phi(2) / P, fourth moment 3 - 28 phi(2) / P, with P = P(|z| < 2).
_PHI, _INSIDE = math.exp(-2.0) / math.sqrt(2.0 * math.pi), math.erf(math.sqrt(2.0))
_CUT = 1.0 - 4.0 * _PHI / _INSIDE
LAWS = (
    Known("normal", 3.0, 7.2),
    Known("uniform", 1.8, math.sqrt(3.0)),
    Known("truncated normal", (3.0 - 28.0 * _PHI / _INSIDE) / _CUT**2, 2.0 / math.sqrt(_CUT)),
)


def law_of(values: npt.NDArray[Any], dtype: str) -> str | None:
    """The law that a weight fits as if it had just been drawn; None if it fits none, or is too small to tell.

    Four things must hold within five standard errors: the mean is 0; the kurtosis is that of the law; no element is
    larger than the law allows; and the mean squares of rows, and of columns, differ by no more than chance has them
    differ. Training changes the last first: units become unequal.

    Rows of zeros are left out: an embedding keeps one for padding, and training makes none.

    Args:
        values: as stored, at least two axes.
        dtype: name of the element type.

    Returns:
        E.g. "normal(std=0.02)".
    """
    if values.ndim < 2 or values.size < LEAST or min(values.shape[0], values.size // values.shape[0]) < FEWEST:
        return None
    matrix = values.reshape(values.shape[0], -1)
    total, fourth, peak = 0.0, 0.0, 0.0
    rows = np.zeros(matrix.shape[0])
    columns = np.zeros(matrix.shape[1])
    step = max(1, BLOCK // matrix.shape[1])
    for begin in range(0, matrix.shape[0], step):
        block = as_real(np.ascontiguousarray(matrix[begin : begin + step]), dtype).astype(np.float64)
        if not np.isfinite(block).all():
            return None
        squares = np.square(block)
        rows[begin : begin + step] = squares.sum(axis=1)
        columns += squares.sum(axis=0)
        total += float(block.sum())
        fourth += float(np.square(squares).sum())
        peak = max(peak, float(np.abs(block).max()))
    rows = rows[rows > 0.0]
    count = rows.size * columns.size
    if count < LEAST or rows.size < FEWEST or not math.isfinite(fourth):
        return None
    variance = float(rows.sum()) / count
    std = math.sqrt(variance)
    kurtosis = fourth / count / variance**2
    if abs(total / count) > SIGMAS * std / math.sqrt(count):
        return None
    for law in LAWS:
        near = abs(kurtosis - law.kurtosis) <= SIGMAS * math.sqrt(24.0 / count) + 1e-3
        # The std is known to sqrt((kurtosis - 1) / 4 n) of itself; half types round by some parts in a thousand.
        slack = 1.01 + SIGMAS * math.sqrt((law.kurtosis - 1.0) / (4 * count))
        if near and peak <= slack * law.peak * std and _even(rows, columns, variance, kurtosis):
            return f"{law.name}(std={std:.3g})"
    return None


def _even(rows: npt.NDArray[Any], columns: npt.NDArray[Any], variance: float, kurtosis: float) -> bool:
    """Whether rows, and columns, are no more unequal than independent elements make them.

    The mean square of a row of n elements has variance (kurtosis - 1) variance^2 / n. Orthogonal rows have less.
    """
    for sums, length in ((rows, columns.size), (columns, rows.size)):
        chance = (kurtosis - 1.0) * variance**2 / length
        ratio = float(np.var(sums / length)) / chance
        # The ratio of m values has the standard error sqrt(2 / m), more where rows are short and so not normal.
        if ratio > 1.0 + SIGMAS * math.sqrt((2.0 + 12.0 / length) / sums.size):
            return False
    return True
