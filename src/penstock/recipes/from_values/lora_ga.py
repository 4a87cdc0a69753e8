"""LoRA-GA: the adapter's first step goes where full training's would."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from penstock.errors import ShapeError, message
from penstock.recipes.entry import CatalogueEntry
from penstock.recipes.from_values.adapter import Adapter, around, checked, positive


def lora_ga(
    weight: npt.ArrayLike, gradient: npt.ArrayLike, *, rank: int, scaling: float = 1.0, gamma: float = 16.0
) -> Adapter:
    r"""A and B from singular vectors of the gradient of the weight; s B A is taken out of W.

    .. math::
        \nabla W = U S V^\top, \quad B = c\, U_{[1:r]}, \quad A = c\, V_{[r+1:2r]}^\top, \quad
        c = \mathrm{out}^{1/4} / \sqrt{\gamma}

    Args:
        weight: W, shape (out, in).
        gradient: of the loss by W, same shape.
        rank: r; both sides must be 2 r or more.
        scaling: s, the adapter's factor, e.g. alpha / sqrt(rank). > 0.
        gamma: > 0; larger gives a smaller adapter.

    Returns:
        The rest, A and B; weight + scaling * b @ a is W up to rounding.

    Raises:
        ShapeError: if the shapes differ or are too small.
        ArgumentError: if an argument is not finite or not positive.

    Examples:
        >>> rest, a, b = lora_ga(np.eye(4), np.diag([4.0, 3.0, 2.0, 1.0]), rank=1, gamma=1.0)
        >>> (abs(a) / 4**0.25).round(6).tolist(), (abs(b) / 4**0.25).round(6).ravel().tolist()
        ([[0.0, 1.0, 0.0, 0.0]], [1.0, 0.0, 0.0, 0.0])

    Source:
        Wang, Yu, Li 2024, https://arxiv.org/abs/2407.05000, the "stable" scale
    """
    values = checked("lora_ga", "weight", weight, 2 * rank)
    slopes = checked("lora_ga", "gradient", gradient, 2 * rank)
    if slopes.shape != values.shape:
        raise ShapeError(message(f"lora_ga: gradient must have the weight's shape {values.shape}; got {slopes.shape}."))
    scaling, gamma = positive("lora_ga", "scaling", scaling), positive("lora_ga", "gamma", gamma)
    u, _, vt = np.linalg.svd(slopes.astype(np.float64), full_matrices=False)
    size = len(values) ** 0.25 / math.sqrt(gamma)
    return around(values, size * vt[rank : 2 * rank], size * u[:, :rank], scaling)


ENTRIES = (
    CatalogueEntry(
        "lora_ga",
        "grad = U S V^T, B = c U_[1:r], A = c V_[r+1:2r]^T, c = out^1/4/sqrt(gamma), W - s B A",
        "adapters, where a gradient of the full weight can be taken once",
        "Wang, Yu, Li 2024, arXiv:2407.05000",
        "from values",
    ),
)
