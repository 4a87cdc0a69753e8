"""Recipes whose elements are independent, as arithmetic on random words: what XLA can compile and shard."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from penstock.geometry import Geometry
from penstock.jax.transforms import TRANSFORMS, exactly, hidden_zero
from penstock.jax.words import element_words, high_product
from penstock.randomness import Distribution
from penstock.randomness.transforms import TRUNCATED_STD, UNIFORM_STD
from penstock.recipes import Normal, Recipe, TruncatedNormal, Uniform, VarianceScaling
from penstock.recipes.bounded_normal import _FEW_WORDS, BoundedNormal, _words_below
from penstock.recipes.uniform_between import UniformBetween, float32_at_least

_RAW_STD = {"normal": 1.0, "truncated_normal": TRUNCATED_STD, "uniform": UNIFORM_STD}


@dataclass(frozen=True, slots=True)
class Law:
    """shift + scale * raw, kept between two bounds.

    Attributes:
        distribution: of the raw values.
        scale: multiplies them.
        shift: is added.
        bounds: smallest and largest value after that; None where rounding cannot leave them.
        ranks: of a normal law cut anywhere: the first word that lies inside, and how many do.
    """

    distribution: Distribution
    scale: float
    shift: float = 0.0
    bounds: tuple[float, float] | None = None
    ranks: tuple[int, int] | None = None


def law_of(recipe: Recipe, geometry: Geometry) -> Law | None:
    """The law of a recipe's elements; None where they depend on each other, or need more than float32."""
    if isinstance(recipe, VarianceScaling):
        return Law(recipe.distribution, recipe.std(geometry) / _RAW_STD[recipe.distribution])
    if isinstance(recipe, Normal):
        return Law("normal", recipe.sigma, recipe.mean)
    if isinstance(recipe, TruncatedNormal):
        return Law("truncated_normal", recipe.sigma / TRUNCATED_STD)
    if isinstance(recipe, Uniform | UniformBetween):
        return _uniform(recipe)
    return _bounded_normal(recipe) if isinstance(recipe, BoundedNormal) else None


def values(high: jax.Array, low: jax.Array, shape: tuple[int, ...], law: Law) -> jax.Array:
    """Independent float32 values of a law, each a function of the key and of its index alone."""
    words = element_words(low, high, shape)
    if law.ranks is not None:
        words = _words_between(words, *law.ranks)
    raw = TRANSFORMS[law.distribution](words)
    # Values of every law but the normal lie below 2; of that one, an eighth does.
    zero = hidden_zero(raw if law.distribution != "normal" else raw * np.float32(0.125))
    if law.scale != 1.0:
        raw = raw * np.float32(law.scale)
    # Also where nothing is added here: the caller's program may go on with a sum.
    result = exactly(raw, zero)
    if law.shift != 0.0:
        result = result + np.float32(law.shift)
    return result if law.bounds is None else jnp.clip(result, np.float32(law.bounds[0]), np.float32(law.bounds[1]))


def _uniform(recipe: Uniform | UniformBetween) -> Law:
    if isinstance(recipe, Uniform):
        return Law("uniform", recipe.bound)
    scale, shift, clip = recipe.affine()
    return Law("uniform", scale, shift, None if clip is None else (float(clip[0]), float(clip[1])))


def _bounded_normal(recipe: BoundedNormal) -> Law | None:
    low, high = ((bound - recipe.mean) / recipe.sigma for bound in (recipe.low, recipe.high))
    first = math.ceil(_words_below(low) - 0.5)
    inside = math.floor(_words_below(high) - 0.5) - first + 1
    if not _FEW_WORDS <= inside < 2**32:
        return None
    bounds = (float(float32_at_least(recipe.low)), float(-float32_at_least(-recipe.high)))
    return Law("normal", recipe.sigma, recipe.mean, bounds, (first, inside))


def _words_between(words: jax.Array, first: int, inside: int) -> jax.Array:
    """Words spread over the ranks first, first + 1, ..., in the order of their values."""
    rank = words ^ np.uint32(2**31)
    return high_product(rank, inside) + np.uint32(first % 2**32)
