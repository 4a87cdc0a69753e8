"""Where a Keras initializer's numbers come from: a seed that counts its draws, or a SeedGenerator."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np

from penstock.errors import ArgumentError, UnsupportedError, message
from penstock.randomness import key_for

_MASK = 0xFFFFFFFF


class Stream(int):
    """A seed that counts the draws made under it, so that no two of them are alike.

    It equals the plain integer. Keras copies some initializers by their seed (`EinsumDense`); a copy made with a
    stream goes on counting where the first one is.
    """

    draws: int = 0

    def next_key(self, name: str) -> int:
        """The key of the next draw: the first is that of the seed and the name in every door of penstock."""
        number = self.draws
        self.draws += 1
        seed = int(self) % 2**64
        return key_for(seed, name, str(number)) if number else key_for(seed, name)


def stream_of(function: str, seed: Any) -> Any:
    """A `Stream` or a SeedGenerator from what Keras takes as a seed.

    Without a seed, one is drawn from Python's `random`, as Keras does: `keras.utils.set_random_seed` sets it.

    Raises:
        ArgumentError: if it is neither an integer, a SeedGenerator, its config, nor None.
    """
    if isinstance(seed, dict):
        seed = keras.saving.deserialize_keras_object(seed)
    if seed is None:
        return Stream(random.randint(1, 2**63))
    if isinstance(seed, Stream | keras.random.SeedGenerator):
        return seed
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool):
        return Stream(int(seed))
    raise ArgumentError(
        message(
            f"{function}: seed must be an integer, a keras.random.SeedGenerator or None; got {seed!r}.",
            hint=f"penstock.keras.{function}(seed=0)",
        )
    )


def next_key(function: str, seed: Any, name: str) -> int:
    """The key of the next draw.

    Raises:
        UnsupportedError: if a SeedGenerator's state is not a number now, because JAX traces the program.
    """
    if isinstance(seed, Stream):
        return seed.next_key(name)
    try:
        low, high = (int(word) & _MASK for word in _state(seed))
    except TypeError as error:
        raise UnsupportedError(
            message(
                f"{function}: the state of a SeedGenerator cannot be read while JAX traces a function.",
                hint=f"penstock.keras.{function}(seed=0), or create the layer outside of jax.jit",
            )
        ) from error
    return key_for(high << 32 | low, name)


def _state(seed: keras.random.SeedGenerator) -> np.ndarray:
    if keras.backend.backend() != "tensorflow":
        return np.asarray(keras.ops.convert_to_numpy(seed.next()))
    import tensorflow as tf

    # Inside tf.function the state is a symbol; the outermost scope is eager, and there it is a number.
    with tf.init_scope():
        return np.asarray(keras.ops.convert_to_numpy(seed.next()))
