"""Words to float32 values in JAX: operation for operation what `penstock.randomness.transforms` defines.

XLA contracts a product and a sum into one fused operation, which rounds once instead of twice and changes the last bit
of many values. Against that every product that a sum follows goes through an XOR with a zero which the compiler cannot
know to be one: bit 30 of a float32 that is less than 2, by its exponent. Unlike a constant or an argument it survives
constant folding, and costs one shift an element. An optimization barrier does not stop the contraction.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from penstock.randomness import transforms as reference

_SHIFT_TO_BIT_30 = 30
_HALF = np.float32(0.5)


def uniform(words: jax.Array) -> jax.Array:
    """Uniform on (-1, 1): the odd multiples of 2^-24."""
    return ((_signed(words) >> 8).astype(jnp.float32) + _HALF) * np.float32(2.0**-23)


def normal(words: jax.Array) -> jax.Array:
    """Standard normal values by the inverse distribution function."""
    signed = _signed(words)
    distance = signed ^ (signed >> 31)
    return jnp.where(distance > reference.CENTRE_END, _tail(signed, distance), _centre(reference.CENTRE, signed))


def truncated_normal(words: jax.Array) -> jax.Array:
    """Standard normal values cut at two sigma."""
    return _centre(reference.TRUNCATED, _signed(words))


TRANSFORMS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "uniform": uniform,
    "normal": normal,
    "truncated_normal": truncated_normal,
}


def hidden_zero(value: jax.Array) -> jax.Array:
    """A uint32 zero for each float32 with |value| < 2, which no compiler can tell from a number."""
    return (lax.bitcast_convert_type(value, jnp.uint32) >> _SHIFT_TO_BIT_30) & 1


def exactly(product: jax.Array, zero: jax.Array) -> jax.Array:
    """The product, rounded before anything is added to it."""
    return lax.bitcast_convert_type(lax.bitcast_convert_type(product, jnp.uint32) ^ zero, jnp.float32)


def _signed(words: jax.Array) -> jax.Array:
    return lax.bitcast_convert_type(words, jnp.int32)


def _centre(law: reference.Centre, signed: jax.Array) -> jax.Array:
    x = (signed | 1).astype(jnp.float32) * law.step
    zero = hidden_zero(x)
    # Where there is a single element, XLA would gather the constant factors of x * x and of what follows.
    x = exactly(x, zero)
    square = exactly(x * x, zero)
    above = _product_of_four([root - square for root in law.numerator])
    below = _product_of_four([root - square for root in law.denominator])
    return above / below * x


def _tail(signed: jax.Array, distance: jax.Array) -> jax.Array:
    tail = (distance ^ reference.END).astype(jnp.float32) + _HALF
    bits = lax.bitcast_convert_type(tail, jnp.int32)
    exponent = (bits >> reference.MANTISSA_BITS).astype(jnp.float32)
    mantissa = lax.bitcast_convert_type((bits & reference.MANTISSA) | reference.EXPONENT_OF_ONE, jnp.float32)
    centred = mantissa - np.float32(1.5)
    zero = hidden_zero(centred)
    depth = (reference.EXPONENT_OF_2_32 - exponent) + _polynomial(reference.LOG, centred, zero)
    above = exactly(_product_of_four([depth + root for root in reference.TAIL_NUMERATOR]), zero)
    above = exactly(above * reference.TAIL_FACTOR, zero)
    first, second, third = (depth + root for root in reference.TAIL_DENOMINATOR)
    value = above / ((first * second) * third)
    return lax.bitcast_convert_type(lax.bitcast_convert_type(value, jnp.int32) | (signed & reference.SIGN), jnp.float32)


def _product_of_four(factors: list[jax.Array]) -> jax.Array:
    first, second, third, fourth = factors
    return (first * second) * (third * fourth)


def _polynomial(coefficients: tuple[np.float32, ...], x: jax.Array, zero: jax.Array) -> jax.Array:
    highest, *rest = reversed(coefficients)
    total: jax.Array | np.float32 = highest
    for coefficient in rest:
        total = exactly(total * x, zero) + coefficient
    return jnp.asarray(total)
