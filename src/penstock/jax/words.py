"""Random words in JAX: Philox4x32-10 in uint32 arithmetic, one word an element, laid out as in `randomness.philox`.

Nothing here needs 64-bit types, which JAX has off by default. Every word is computed from its own index, so a sharded
array is made shard by shard: no device makes or holds another's part.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import lax

from penstock.randomness import philox

Pair = tuple[jax.Array, jax.Array]
"""A 64-bit number as two uint32 arrays: high word, low word."""

_MULTIPLIERS = philox._MULTIPLIERS
_WEYL = philox._WEYL
_ROUNDS = philox._ROUNDS
_GROUP = philox.GROUP
_LANES = philox._LANES
_WORDS = 4
_HALF = 16
_MASK = 0xFFFF


def element_words(low: jax.Array, high: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The words of all elements of a parameter, shape `shape`.

    Where the trailing axes hold whole groups of 64 elements, each counter is computed once and gives four words;
    elsewhere once an element, of which one word is kept.

    Args:
        low: low 32 bits of the key, a uint32 scalar.
        high: high 32 bits.
        shape: of the whole parameter.
    """
    axes = [axis for axis in range(len(shape)) if math.prod(shape[axis:]) % _GROUP == 0]
    if math.prod(shape) == 0:
        return jnp.zeros(shape, jnp.uint32)
    if not axes:
        return _word_by_word(low, high, shape)
    axis = axes[-1]
    groups = (*shape[:axis], math.prod(shape[axis:]) // _GROUP)
    upper, number = _linear_index((*groups, _LANES))
    four = philox4x32((number, upper, jnp.zeros_like(number), jnp.zeros_like(number)), low, high)
    return jnp.stack(four, axis=-2).reshape(shape)


def philox4x32(counter: tuple[jax.Array, ...], low: jax.Array, high: jax.Array) -> tuple[jax.Array, ...]:
    """Four random words for each counter.

    Args:
        counter: four uint32 arrays of one shape, least significant word first.
        low: first key word, a uint32 scalar.
        high: second key word.

    Source:
        Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"
    """
    a, b, c, d = counter
    for _ in range(_ROUNDS):
        upper_a, lower_a = _wide_product(a, _MULTIPLIERS[0])
        upper_c, lower_c = _wide_product(c, _MULTIPLIERS[1])
        a, b, c, d = upper_c ^ b ^ low, lower_c, upper_a ^ d ^ high, lower_a
        low, high = low + jnp.uint32(_WEYL[0]), high + jnp.uint32(_WEYL[1])
    return a, b, c, d


def high_product(x: jax.Array, factor: int) -> jax.Array:
    """The high 32 bits of the 64-bit product of each element with a number below 2^32."""
    return _wide_product(x, factor)[0]


def _word_by_word(low: jax.Array, high: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    upper, lower = _linear_index(shape)
    # Counter 16 (e // 64) + e % 16, of whose four words number (e // 16) % 4 is the element's.
    number = (upper << 30) | ((lower >> 6) << 4) | (lower & (_LANES - 1))
    four = philox4x32((number, upper >> 2, jnp.zeros_like(number), jnp.zeros_like(number)), low, high)
    which = (lower >> 4) & (_WORDS - 1)
    return jnp.where(which < 2, jnp.where(which == 0, four[0], four[1]), jnp.where(which == 2, four[2], four[3]))


def _linear_index(shape: tuple[int, ...]) -> Pair:
    """Row-major indices as 64-bit numbers, shape `shape`."""
    upper = lower = jnp.zeros(shape, jnp.uint32)
    # A product that cannot reach 2^32 has no high word, and no carry.
    wide = math.prod(shape) > 2**32
    for axis in range(len(shape)):
        stride = math.prod(shape[axis + 1 :])
        index = lax.broadcasted_iota(jnp.uint32, shape, axis)
        if not wide:
            lower = lower + index * jnp.uint32(stride)
            continue
        more, least = _wide_product(index, stride & 0xFFFFFFFF)
        lower = lower + least
        upper = upper + more + index * jnp.uint32(stride >> 32) + (lower < least).astype(jnp.uint32)
    return upper, lower


def _wide_product(x: jax.Array, factor: int) -> Pair:
    """The 64-bit product with a number below 2^32, from four products of halves."""
    factor_low, factor_high = jnp.uint32(factor & _MASK), jnp.uint32(factor >> _HALF)
    x_low, x_high = x & _MASK, x >> _HALF
    first = x_low * factor_low
    middle = x_high * factor_low + (first >> _HALF)
    other = x_low * factor_high + (middle & _MASK)
    return x_high * factor_high + (middle >> _HALF) + (other >> _HALF), x * jnp.uint32(factor)
