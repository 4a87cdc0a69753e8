"""Spectral initialization of factorised layers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from penstock.recipes.entry import CatalogueEntry
from penstock.recipes.from_values.adapter import Floats, checked


def low_rank(weight: npt.ArrayLike, *, rank: int) -> tuple[Floats, Floats]:
    r"""Two factors whose product is the best approximation of a weight with some rank.

    .. math::  W \approx (U_r \sqrt{S_r}) (\sqrt{S_r} V_r^\top)

    Draw the full weight by any recipe; independent factors would have a spectrum and gradients of another size.

    Args:
        weight: shape (out, in).
        rank: r.

    Returns:
        The left factor, shape (out, rank), and the right one, shape (rank, in), with equal singular values.

    Examples:
        >>> left, right = low_rank(np.diag([4.0, 1.0]), rank=1)
        >>> (left @ right).tolist()
        [[4.0, 0.0], [0.0, 0.0]]

    Source:
        Khodak, Tenenholtz, Mackey, Fusi 2021, https://arxiv.org/abs/2105.01029
    """
    values = checked("low_rank", "weight", weight, rank)
    u, s, vt = np.linalg.svd(values.astype(np.float64), full_matrices=False)
    root = np.sqrt(s[:rank])
    return (u[:, :rank] * root).astype(values.dtype), (root[:, None] * vt[:rank]).astype(values.dtype)


ENTRIES = (
    CatalogueEntry(
        "low_rank",
        "left = U_r sqrt(S_r), right = sqrt(S_r) V_r^T of a weight drawn whole",
        "layers factorised into two thin matrices",
        "Khodak et al. 2021, arXiv:2105.01029",
        "from values",
    ),
)
