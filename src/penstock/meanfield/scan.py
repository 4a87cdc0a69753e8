"""A coarse map of a function over alpha and beta: where exact solutions of two conditions are worth looking for.

Kernel shaping and tailoring both ask for alpha and beta at which two averages of phi(alpha z + beta) have a value. All
places are looked at in one call of the function; the exact quadrature is for the few that are promising.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from penstock.quadrature import Function

Start = TypeVar("Start", tuple[float, float], tuple[float, float, float])
Array = npt.NDArray[np.float64]

ALPHAS = np.geomspace(1e-3, 6.0, 51)
BETAS = np.unique(np.concatenate([np.linspace(-1.5, 1.5, 61), np.linspace(-5.0, 5.0, 41)]).round(9))
_MIRRORED = 0.02  # between |beta| of two starts that are one, but for the sign and the coarseness of the map
_Z = np.linspace(-6.0, 6.0, 97)
_SPACING = _Z[1] - _Z[0]


@dataclass(frozen=True, slots=True, eq=False)
class Landscape:
    """Averages of phi(alpha z + beta) at ALPHAS x BETAS; NaN where it is constant or overflows. Each of shape (a, b).

    Slopes are difference quotients: for a straight line they fit the variance to rounding.

    Attributes:
        variance: Var[phi].
        uneven: E[(z^2 - 1) (phi - E[phi])^2] / 2.
        lean: E[(z^2 - 1) phi].
        slope_second: alpha^2 E[phi'^2].
        curve_second: alpha^4 E[phi''^2].
    """

    variance: Array
    uneven: Array
    lean: Array
    slope_second: Array
    curve_second: Array


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Where the first condition holds, as alpha by beta.

    Attributes:
        columns: places in BETAS. Shape (n,).
        alphas: the smallest alpha that meets the condition. Shape (n,).
        second: what the second condition misses there. Shape (n,).
    """

    columns: npt.NDArray[np.intp]
    alphas: Array
    second: Array

    def crossings(self) -> list[tuple[float, float]]:
        """Where the second condition changes its sign too: (alpha, beta)."""
        betas, second, found = BETAS[self.columns], self.second, []
        for i in range(len(betas) - 1):
            neighbours = self.columns[i + 1] == self.columns[i] + 1 and np.isfinite(second[i : i + 2]).all()
            if neighbours and (second[i] < 0.0) != (second[i + 1] < 0.0):
                part = second[i] / (second[i] - second[i + 1])
                beta = betas[i] + part * (betas[i + 1] - betas[i])
                found.append((float(self.alphas[i] + part * (self.alphas[i + 1] - self.alphas[i])), float(beta)))
        return found


def nearest_first(starts: list[Start]) -> list[Start]:
    """Starts (alpha, beta, ...) by |beta|; of two that mirror each other, as an odd function's do, the positive first.

    Examples:
        >>> nearest_first([(0.1, 2.0), (0.1, -0.551), (0.1, 0.552)])
        [(0.1, 0.552), (0.1, -0.551), (0.1, 2.0)]
    """
    ordered = sorted(starts, key=lambda start: abs(start[1]))
    for i in range(len(ordered) - 1):
        first, second = ordered[i][1], ordered[i + 1][1]
        if first < 0.0 < second and second + first < _MIRRORED:
            ordered[i], ordered[i + 1] = ordered[i + 1], ordered[i]
    return ordered


def landscape(function: Function) -> Landscape:
    """Map a function.

    Args:
        function: elementwise, float64 in and out.

    Examples:
        >>> float(landscape(np.tanh).variance.min()) > 0.0
        True
    """
    x = ALPHAS[:, None, None] * _Z + BETAS[:, None]
    with np.errstate(all="ignore"):
        try:
            values = np.asarray(function(x.ravel()), dtype=np.float64).reshape(x.shape)
        except Exception:  # a function that refuses some of these numbers: the exact search would meet them too
            values = np.full(x.shape, np.nan)
        weight = _weights(_Z)
        mean = values @ weight
        centred = values - mean[:, :, None]
        variance = centred**2 @ weight
        variance[~(variance > 1e-22 * mean**2)] = np.nan
        slopes, curves = np.diff(values, axis=2) / _SPACING, np.diff(values, n=2, axis=2) / _SPACING**2
        bump = weight * (_Z**2 - 1.0)
        return Landscape(
            variance,
            centred**2 @ bump / 2.0,
            values @ bump,
            slopes**2 @ _weights((_Z[1:] + _Z[:-1]) / 2),
            curves**2 @ _weights(_Z[1:-1]),
        )


def line(first: Array, second: Array) -> Line | None:
    """Where a condition changes its sign along alpha, with what another one misses there; None where nowhere.

    Args:
        first: what the condition misses at ALPHAS x BETAS. Shape (a, b).
        second: what the other one misses. Shape (a, b).
    """
    known = np.isfinite(first)
    crossed = known[:-1] & known[1:] & ((first[:-1] < 0.0) != (first[1:] < 0.0))
    columns = np.flatnonzero(crossed.any(axis=0))
    if not columns.size:
        return None
    row = crossed.argmax(axis=0)[columns]
    below, above = first[row, columns], first[row + 1, columns]
    share = below / (below - above)
    log_alpha = np.log(ALPHAS)
    alphas = np.exp(log_alpha[row] + share * (log_alpha[row + 1] - log_alpha[row]))
    return Line(columns, alphas, second[row, columns] * (1.0 - share) + second[row + 1, columns] * share)


def _weights(z: Array) -> Array:
    density = np.exp(-0.5 * z**2)
    return density / density.sum()
