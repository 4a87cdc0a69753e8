"""OLoRA: the adapter starts with an orthonormal basis from the weight's QR decomposition."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from penstock.recipes.entry import CatalogueEntry
from penstock.recipes.from_values.adapter import Adapter, around, checked, positive


def olora(weight: npt.ArrayLike, *, rank: int, scaling: float = 1.0) -> Adapter:
    r"""W = Q R; A is the first rows of R, B the first columns of Q, and s B A is taken out of W.

    Args:
        weight: W, shape (out, in).
        rank: r.
        scaling: s, the adapter's factor. > 0.

    Returns:
        The rest, A and B; weight + scaling * b @ a is W up to rounding, and b has orthonormal columns.

    Raises:
        ShapeError: if the weight is no matrix or smaller than the rank.
        ArgumentError: if it is not finite or the scaling not positive.

    Examples:
        >>> rest, a, b = olora([[3.0, 1.0], [0.0, 2.0]], rank=1)
        >>> abs(b).ravel().tolist(), rest.tolist()
        ([1.0, 0.0], [[0.0, 0.0], [0.0, 2.0]])

    Source:
        Büyükakyüz 2024, https://arxiv.org/abs/2406.01775
    """
    values = checked("olora", "weight", weight, rank)
    scaling = positive("olora", "scaling", scaling)
    q, r = np.linalg.qr(values.astype(np.float64))
    return around(values, r[:rank], q[:, :rank], scaling)


ENTRIES = (
    CatalogueEntry(
        "olora",
        "W = Q R, A = R[:r], B = Q[:, :r], W - s B A",
        "adapters with an orthonormal start",
        "Büyükakyüz 2024, arXiv:2406.01775",
        "from values",
    ),
)
