"""Draw a parameter whose layout is not the one that its elements are numbered in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.geometry import Geometry
from penstock.randomness import Window
from penstock.recipes.complex_values import draw_complex
from penstock.recipes.recipe import Recipe


def draw_ordered(
    recipe: Recipe, geometry: Geometry, key: int, *, window: Window | None = None, is_complex: bool = False
) -> npt.NDArray[Any]:
    """The values of a parameter, or of a window of it, in its own layout, numbered in the order of `geometry.order`.

    Args:
        recipe: the rule.
        geometry: shape, axis roles and order of the parameter.
        key: 64 bits.
        window: the part to draw, one slice an axis of the parameter; None for all.
        is_complex: whether the parameter holds complex numbers.

    Examples:
        >>> from penstock.recipes import Normal
        >>> stored = Geometry((3, 5), in_axes=(0,), out_axes=(1,)).in_order()  # Flax's; PyTorch has (5, 3)
        >>> drawn = Normal(1.0).draw(Geometry((5, 3), in_axes=(1,), out_axes=(0,)), 7)
        >>> bool((draw_ordered(Normal(1.0), stored, 7).T == drawn).all())
        True
    """
    draw = draw_complex if is_complex else type(recipe).draw
    if not geometry.order:
        return draw(recipe, geometry, key, window=window)
    part = None if window is None else tuple(window[a] for a in geometry.order)
    return draw(recipe, geometry.laid_out(), key, window=part).transpose(np.argsort(geometry.order))
