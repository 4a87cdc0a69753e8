"""Rules that need neither fans nor a matrix, for any shape."""

from __future__ import annotations

from typing import Literal, Unpack

import numpy.typing as npt

from penstock.errors import ArgumentError, message
from penstock.numpy.drawing import Array, Rng, Roles, Shape, draw
from penstock.randomness import Window
from penstock.randomness.transforms import TRUNCATED_STD
from penstock.recipes import Constant, Normal, Recipe, TruncatedNormal, Uniform
from penstock.recipes.arguments import built
from penstock.recipes.uniform_between import UniformBetween

_STD = {"sigma": "std"}


def truncated_normal(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    rng: Rng = None,
    out: Array | None = None,
    window: Window | None = None,
    *,
    std: float = 1.0,
    std_is: Literal["after", "before"] = "after",
    **roles: Unpack[Roles],
) -> Array:
    """Draw a normal law cut at two of its standard deviations.

    Args and result as `he_normal`, for any shape. `std_is` says whether `std` is that of the values, after the cut, or
    that of the law before it, as in Keras and JAX, where the values have 0.8796 of it.

    Raises:
        ArgumentError: if std is negative or `std_is` is unknown.

    Examples:
        >>> w = truncated_normal((300, 300), rng=0, std=0.02)
        >>> round(float(w.std()), 4)
        0.02
    """
    if std_is not in ("after", "before"):
        raise ArgumentError(message(f"truncated_normal: std_is must be 'after' or 'before'; got {std_is!r}."))
    recipe = built("truncated_normal", _STD, "penstock.numpy.truncated_normal(shape, std=0.02)", TruncatedNormal, std)
    if std_is == "before":
        recipe = recipe.scaled(TRUNCATED_STD)
    return draw(recipe, shape, dtype, rng, out, window, **roles)


def normal(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    rng: Rng = None,
    out: Array | None = None,
    window: Window | None = None,
    *,
    std: float = 1.0,
    mean: float = 0.0,
    **roles: Unpack[Roles],
) -> Array:
    """Draw N(mean, std^2), for any shape; tails out to 6.3 std."""
    recipe = built("normal", _STD, "penstock.numpy.normal(shape, std=0.02)", Normal, std, mean)
    return draw(recipe, shape, dtype, rng, out, window, **roles)


def uniform(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    rng: Rng = None,
    out: Array | None = None,
    window: Window | None = None,
    *,
    low: float = 0.0,
    high: float = 1.0,
    **roles: Unpack[Roles],
) -> Array:
    """Draw U[low, high), for any shape; `high` is never reached, in half types neither."""
    hint = "penstock.numpy.uniform(shape, low=-0.1, high=0.1)"
    recipe: Recipe
    if low == -high and high >= 0:
        recipe = built("uniform", {"bound": "high"}, hint, Uniform, high)
    else:
        recipe = built("uniform", {}, hint, UniformBetween, low, high)
    return draw(recipe, shape, dtype, rng, out, window, **roles)


def zeros(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    out: Array | None = None,
    window: Window | None = None,
    **roles: Unpack[Roles],
) -> Array:
    """Fill with 0, for any shape."""
    return draw(Constant(0.0), shape, dtype, 0, out, window, **roles)


def ones(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    out: Array | None = None,
    window: Window | None = None,
    **roles: Unpack[Roles],
) -> Array:
    """Fill with 1, for any shape."""
    return draw(Constant(1.0), shape, dtype, 0, out, window, **roles)


def constant(
    shape: Shape,
    dtype: npt.DTypeLike | None = None,
    out: Array | None = None,
    window: Window | None = None,
    *,
    value: float,
    **roles: Unpack[Roles],
) -> Array:
    """Fill with one value, for any shape."""
    recipe = built("constant", {}, "penstock.numpy.constant(shape, value=0.5)", Constant, value)
    return draw(recipe, shape, dtype, 0, out, window, **roles)
