"""LoftQ: a quantised weight and the adapter that makes up for what quantising lost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from penstock.errors import ShapeError, message
from penstock.recipes.arguments import count
from penstock.recipes.entry import CatalogueEntry
from penstock.recipes.from_values.adapter import Adapter, Floats, checked, positive


def loftq(
    weight: npt.ArrayLike, *, rank: int, quantize: Callable[[Floats], Floats], steps: int = 5, scaling: float = 1.0
) -> Adapter:
    r"""Alternate between quantising what the adapter leaves and fitting the adapter to what quantising lost.

    .. math::  Q_t = q(W - s B_{t-1} A_{t-1}), \quad s B_t A_t = \mathrm{SVD}_r(W - Q_t)

    Args:
        weight: W, shape (out, in).
        rank: r.
        quantize: q, from a float64 matrix to the values that its quantised form stands for, same shape.
        steps: alternations; 1 to 5 in the paper.
        scaling: s, the adapter's factor. > 0.

    Returns:
        Q, A and B: the frozen weight is quantize(...) exactly, and weight + scaling * b @ a is near W.

    Raises:
        ShapeError: if the weight is no matrix or smaller than the rank, or quantize changes its shape.
        ArgumentError: if it is not finite, or scaling or steps are not positive.

    Examples:
        >>> weight = np.array([[1.2, 0.1], [0.1, 0.8]])
        >>> q, a, b = loftq(weight, rank=1, quantize=np.round)
        >>> q.tolist(), bool(np.linalg.norm(weight - q - b @ a) < np.linalg.norm(weight - q))
        ([[1.0, 0.0], [0.0, 1.0]], True)

    Source:
        Li et al. 2023, algorithm 1, https://arxiv.org/abs/2310.08659
    """
    values = checked("loftq", "weight", weight, rank)
    scaling = positive("loftq", "scaling", scaling)
    w = values.astype(np.float64)
    a, b = np.zeros((rank, w.shape[1])), np.zeros((w.shape[0], rank))
    frozen = w
    for _ in range(count("loftq", "steps", steps)):
        frozen = np.asarray(quantize(w - scaling * b @ a), dtype=np.float64)
        if frozen.shape != w.shape:
            raise ShapeError(message(f"loftq: quantize must keep the shape {w.shape}; it gave {frozen.shape}."))
        u, s, vt = np.linalg.svd(w - frozen, full_matrices=False)
        root = np.sqrt(s[:rank] / scaling)
        a, b = root[:, None] * vt[:rank], u[:, :rank] * root
    return Adapter(frozen.astype(values.dtype), a.astype(values.dtype), b.astype(values.dtype))


ENTRIES = (
    CatalogueEntry(
        "loftq",
        "Q = q(W - s B A), s B A = SVD_r(W - Q), alternating",
        "adapters of a quantised weight",
        "Li et al. 2023, arXiv:2310.08659",
        "from values",
    ),
)
