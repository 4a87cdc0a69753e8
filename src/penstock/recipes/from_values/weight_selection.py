"""Weight selection: a small network starts with a part of a large one's weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from penstock.errors import ShapeError, message
from penstock.recipes.entry import CatalogueEntry


def weight_selection(teacher: npt.ArrayLike, shape: Sequence[int]) -> npt.NDArray[np.generic]:
    """Pick elements evenly along every axis of a larger weight.

    Every (n / m)-th where m divides n, else the rounded places of m points from the first to the last. The same places
    are picked in all layers of one width, so that what a layer wrote is what the next one reads. Heads are left out.

    Args:
        teacher: the larger weight.
        shape: of the smaller one: as many axes, none longer.

    Returns:
        The selected elements, a copy.

    Raises:
        ShapeError: if the shape has another number of axes or a longer one.

    Examples:
        >>> weight_selection(np.arange(6), (3,)).tolist(), weight_selection(np.arange(5), (3,)).tolist()
        ([0, 2, 4], [0, 2, 4])

    Source:
        Xu et al. 2024, https://arxiv.org/abs/2311.18823
    """
    values, sizes = np.asarray(teacher), tuple(shape)
    if len(sizes) != values.ndim or any(not 0 < new <= old for new, old in zip(sizes, values.shape, strict=False)):
        raise ShapeError(
            message(
                f"weight_selection: shape must have {values.ndim} sizes from 1 to those of {values.shape}; got {sizes}."
            )
        )
    for axis, (old, new) in enumerate(zip(values.shape, sizes, strict=True)):
        places = np.arange(new) * (old // new) if old % new == 0 else np.linspace(0, old - 1, new).round().astype(int)
        values = np.take(values, places, axis=axis)
    return values.copy()


ENTRIES = (
    CatalogueEntry(
        "weight_selection",
        "every (n/m)-th element along each axis",
        "a small model, where a large one of the same family is trained",
        "Xu et al. 2024, arXiv:2311.18823",
        "from values",
    ),
)
