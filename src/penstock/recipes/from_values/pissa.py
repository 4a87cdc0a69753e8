"""PiSSA: the adapter takes over the weight's principal singular values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from penstock.recipes.entry import CatalogueEntry
from penstock.recipes.from_values.adapter import Adapter, around, checked, positive


def pissa(weight: npt.ArrayLike, *, rank: int, scaling: float = 1.0) -> Adapter:
    r"""Split a weight into its best approximation of some rank, which is trained, and the rest, which is frozen.

    .. math::  A = \sqrt{S_r / s}\, V_r^\top, \quad B = U_r \sqrt{S_r / s}, \quad W \leftarrow W - s B A

    Args:
        weight: W, shape (out, in).
        rank: r.
        scaling: s, the adapter's factor, e.g. alpha / rank. > 0.

    Returns:
        The rest, A and B; weight + scaling * b @ a is W up to rounding.

    Raises:
        ShapeError: if the weight is no matrix or smaller than the rank.
        ArgumentError: if it is not finite or the scaling not positive.

    Examples:
        >>> rest, a, b = pissa(np.diag([4.0, 1.0]), rank=1)
        >>> abs(b @ a).tolist(), rest.tolist()
        ([[4.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]])

    Source:
        Meng, Wang, Zhang 2024, https://arxiv.org/abs/2404.02948
    """
    values = checked("pissa", "weight", weight, rank)
    scaling = positive("pissa", "scaling", scaling)
    u, s, vt = np.linalg.svd(values.astype(np.float64), full_matrices=False)
    root = np.sqrt(s[:rank] / scaling)
    return around(values, root[:, None] * vt[:rank], u[:, :rank] * root, scaling)


ENTRIES = (
    CatalogueEntry(
        "pissa",
        "A = sqrt(S_r/s) V_r^T, B = U_r sqrt(S_r/s), W - s B A",
        "adapters that train the main directions of a pretrained weight",
        "Meng, Wang, Zhang 2024, arXiv:2404.02948",
        "from values",
    ),
)
