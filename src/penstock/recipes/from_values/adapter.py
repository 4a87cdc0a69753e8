"""Adapter: a frozen weight and the low-rank product that is added to it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, ShapeError, message
from penstock.recipes.arguments import count
from penstock.recipes.recipe import finite

Floats = npt.NDArray[np.floating]


class Adapter(NamedTuple):
    """W = weight + scaling * b @ a.

    Attributes:
        weight: the frozen part, shape (out, in).
        a: shape (rank, in).
        b: shape (out, rank).
    """

    weight: Floats
    a: Floats
    b: Floats


def around(weight: Floats, a: Floats, b: Floats, scaling: float) -> Adapter:
    """The adapter with the weight from which scaling * b @ a is taken away, in the weight's type."""
    residual = weight.astype(np.float64) - scaling * b @ a
    return Adapter(residual.astype(weight.dtype), a.astype(weight.dtype), b.astype(weight.dtype))


def checked(function: str, argument: str, matrix: npt.ArrayLike, rank: int) -> Floats:
    """The argument as a finite matrix that has this rank or more.

    Raises:
        ShapeError: if it is no matrix or too small.
        ArgumentError: if it holds an infinity or NaN.
    """
    values = np.asarray(matrix)
    values = values if values.dtype.kind == "f" else values.astype(np.float64)
    if values.ndim != 2 or min(values.shape) < count(function, "rank", rank):
        raise ShapeError(
            message(f"{function}: {argument} must be a matrix with both sides >= {rank}; got shape {values.shape}.")
        )
    if not np.isfinite(values).all():
        raise ArgumentError(message(f"{function}: {argument} must be finite; got infinities or NaN."))
    return values


def positive(function: str, argument: str, value: float) -> float:
    """A finite number above 0."""
    number = finite(function, argument, value)
    if number <= 0.0:
        raise ArgumentError(message(f"{function}: {argument} must be positive; got {number}."))
    return number
