"""EVA: adapters look where the layer's inputs vary most."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.recipes.arguments import count
from penstock.recipes.entry import CatalogueEntry
from penstock.recipes.from_values.adapter import Floats, checked


def eva(inputs: npt.ArrayLike, *, rank: int) -> tuple[Floats, Floats]:
    """A from the principal directions of a layer's inputs; B is 0.

    Args:
        inputs: what the layer reads, one row a token or sample, shape (samples, in).
        rank: r.

    Returns:
        A of shape (rank, in), orthonormal rows with the most explained first, and the share of the squared inputs that
        each explains, shape (rank,).

    Raises:
        ShapeError: if there are fewer samples or inputs than the rank.
        ArgumentError: if the inputs are not finite or all zero.

    Examples:
        >>> a, share = eva([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0]], rank=1)
        >>> abs(a).tolist(), share.round(6).tolist()
        ([[1.0, 0.0]], [0.947368])

    Source:
        Paischer et al. 2024, https://arxiv.org/abs/2410.07170
    """
    values = checked("eva", "inputs", inputs, rank)
    _, s, vt = np.linalg.svd(values.astype(np.float64), full_matrices=False)
    total = float((s**2).sum())
    if total == 0.0:
        raise ArgumentError(message("eva: inputs must not all be zero."))
    return vt[:rank].astype(values.dtype), s[:rank] ** 2 / total


def eva_ranks(shares: Mapping[str, npt.ArrayLike], *, budget: int) -> dict[str, int]:
    """Spread a number of directions over layers: those that explain most of their own layer's inputs come first.

    Args:
        shares: for each layer the shares from `eva`, in falling order.
        budget: sum of all ranks, e.g. the number of layers times the mean rank.

    Returns:
        The rank of each layer, 0 for some; they add up to the budget or to all there are.

    Examples:
        >>> eva_ranks({"first": [0.9, 0.05], "second": [0.5, 0.4]}, budget=3)
        {'first': 1, 'second': 2}
    """
    budget = count("eva_ranks", "budget", budget, at_least=0)
    ordered = sorted(
        ((float(share), name) for name, each in shares.items() for share in np.asarray(each, dtype=np.float64)),
        key=lambda pair: -pair[0],
    )
    ranks = dict.fromkeys(shares, 0)
    for _, name in ordered[:budget]:
        ranks[name] += 1
    return ranks


ENTRIES = (
    CatalogueEntry(
        "eva, eva_ranks",
        "A = right singular vectors of the layer's inputs, B = 0; ranks by explained variance",
        "adapters, where some batches of the new task are at hand",
        "Paischer et al. 2024, arXiv:2410.07170",
        "from values",
    ),
)
