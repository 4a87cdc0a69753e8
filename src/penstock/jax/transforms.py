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
_ONE = np.float32(1.0)


def uniform(words: jax.Array) -> jax.Array:
    """Uniform on (-1, 1): the odd multiples of 2^-24."""
    return ((_signed(words) >> 8).astype(jnp.float32) + _HALF) * np.float32(2.0**-23)


def normal(words: jax.Array) -> jax.Array:
    """Standard normal values by the inverse distribution function."""
    signed = _signed(words)
    centre = signed ^ (signed >> 31)
    value = (centre.astype(jnp.float32) + _HALF) * np.float32(2.0**-31)
    zero = hidden_zero(value)
    tail = exactly(((centre ^ reference._END).astype(jnp.float32) + _HALF) * np.float32(2.0**-32), zero)
    depth = _minus_log2_of_four_times(tail * (_ONE - tail), zero)
    ratio = _ratio(reference._NORMAL_NUMERATOR, reference._NORMAL_DENOMINATOR, depth, zero)
    return _with_sign_of(signed, exactly(value, zero) * ratio)


def truncated_normal(words: jax.Array) -> jax.Array:
    """Standard normal values cut at two sigma."""
    signed = _signed(words)
    value = ((signed ^ (signed >> 31)).astype(jnp.float32) + _HALF) * np.float32(2.0**-31)
    zero = hidden_zero(value)
    square = exactly(value * value, zero)
    ratio = _ratio(reference._TRUNCATED_NUMERATOR, reference._TRUNCATED_DENOMINATOR, _ONE - square, zero)
    return _with_sign_of(signed, exactly(value, zero) * ratio)


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


def _minus_log2_of_four_times(quarter: jax.Array, zero: jax.Array) -> jax.Array:
    bits = lax.bitcast_convert_type(quarter, jnp.int32)
    exponent = (bits >> reference._MANTISSA_BITS).astype(jnp.float32)
    mantissa = (bits & reference._MANTISSA) | reference._EXPONENT_OF_ONE
    centred = lax.bitcast_convert_type(mantissa, jnp.float32) - np.float32(1.5)
    return (reference._EXPONENT_OF_QUARTER - exponent) + _polynomial(reference._LOG, centred, zero)


def _ratio(numerator: tuple[float, ...], denominator: tuple[float, ...], x: jax.Array, zero: jax.Array) -> jax.Array:
    return _polynomial(numerator, x, zero) / _polynomial(denominator, x, zero)


def _polynomial(coefficients: tuple[float, ...], x: jax.Array, zero: jax.Array) -> jax.Array:
    highest, *rest = (np.float32(value) for value in reversed(coefficients))
    total: jax.Array | np.float32 = highest
    for coefficient in rest:
        total = exactly(total * x, zero) + coefficient
    return jnp.asarray(total)


def _with_sign_of(signed: jax.Array, value: jax.Array) -> jax.Array:
    bits = lax.bitcast_convert_type(value, jnp.int32)
    return lax.bitcast_convert_type(bits | (signed & reference._SIGN), jnp.float32)
