"""JAX's keys as penstock's: 64 bits, found by arithmetic that `jit`, `vmap` and `eval_shape` can trace."""

from __future__ import annotations

from typing import SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np

from penstock.errors import ArgumentError, message
from penstock.jax.words import Pair, philox4x32
from penstock.randomness import key_for

_KEY_WORDS = 2
_BLOCK = 4


def key(seed: SupportsIndex, name: str = "") -> jax.Array:
    """A JAX key whose draws are those of this seed and name in every door of penstock, bit for bit.

    It is an ordinary typed key (threefry2x32): `jax.random.split`, `fold_in` and all of `jax.random` take it.

    Args:
        seed: 0 <= seed < 2**64.
        name: the parameter's name, e.g. "layers.0.weight".

    Returns:
        A scalar key, whose data are the two halves of `penstock.randomness.key_for(seed, name)`.

    Raises:
        ArgumentError: if the seed is no integer in range or the name is no text.

    Examples:
        >>> from penstock.jax import normal
        >>> from penstock.randomness import fill, key_for
        >>> ours = np.asarray(normal(0.02)(key(0, "dense.kernel"), (512, 64)))
        >>> ours.tobytes() == fill("normal", (512, 64), key_for(0, "dense.kernel"), scale=0.02).tobytes()
        True
    """
    bits = key_for(seed, name)
    return jax.random.wrap_key_data(jnp.array([bits >> 32, bits & 0xFFFFFFFF], jnp.uint32), impl="threefry2x32")


def philox_key(function: str, key: jax.Array) -> Pair:
    """The 64 bits under which a JAX key draws: high word, low word.

    Two words (threefry2x32, JAX's default) are the key itself, the first one high: `jax.random.key(5)` draws what
    the key 5 does in `penstock.randomness.fill`. More words (rbg) are absorbed four at a time: each four are the
    counter of one Philox call under the key so far, 0 at first; its first two words are the next key, low word first.

    Args:
        function: the public function that was called, for the message.
        key: a typed key, or the raw uint32 words of one.

    Raises:
        ArgumentError: if it is no single key.
    """
    words = _words(function, key)
    if len(words) == _KEY_WORDS:
        return words[0], words[1]
    padded = jnp.concatenate([words, jnp.zeros(-len(words) % _BLOCK, jnp.uint32)])
    high = low = jnp.uint32(0)
    for begin in range(0, len(padded), _BLOCK):
        low, high, _, _ = philox4x32(tuple(padded[begin : begin + _BLOCK]), low, high)
    return high, low


def _words(function: str, key: jax.Array) -> jax.Array:
    kind = getattr(key, "dtype", None)
    if kind is not None and jnp.issubdtype(kind, jax.dtypes.prng_key):
        words, single = jax.random.key_data(key), key.shape == ()
    elif kind == np.uint32:
        words, single = jnp.asarray(key), True
    else:
        words, single = jnp.zeros(0, jnp.uint32), False
    if not single or words.ndim != 1 or words.size < _KEY_WORDS:
        got = f"{type(key).__name__} {kind or key} with shape {getattr(key, 'shape', None)}"
        raise ArgumentError(
            message(
                f"{function}: key must be one key of JAX; got {got}.",
                hint="jax.random.key(0), penstock.jax.key(0, 'layers.0.weight'), or jax.vmap over several keys",
            )
        )
    return words
