"""Small models of JAX for the tests of the command line, in every form that a factory may return them in."""

from __future__ import annotations

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
from flax import nnx

KEY = jax.random.key(1)


class Linen(nn.Module):
    width: int = 24

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.relu(nn.Dense(self.width)(x)))


class Nnx(nnx.Module):
    def __init__(self, rngs=None):
        rngs = rngs or nnx.Rngs(0)
        self.last, self.first = nnx.Linear(24, 3, rngs=rngs), nnx.Linear(12, 24, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.relu(self.first(x)))


class InOrder(nnx.Module):
    def __init__(self, rngs=None):
        rngs = rngs or nnx.Rngs(0)
        self.layers = nnx.List([nnx.Linear(12, 24, rngs=rngs), nnx.Linear(24, 3, rngs=rngs)])

    def __call__(self, x):
        return self.layers[1](nnx.relu(self.layers[0](x)))


def linen(width: int = 24):
    return Linen(width)


def linen_with_variables():
    return Linen(), Linen().init(KEY, jnp.ones((2, 12)))


def linen_with_batch():
    return Linen(), jax.random.normal(KEY, (16, 12))


def linen_with_both():
    return *linen_with_variables(), jax.random.normal(KEY, (16, 12))


def equinox():
    return eqx.nn.MLP(12, 3, 24, 1, key=KEY)


@hk.transform
def haiku(x):
    return hk.nets.MLP([24, 3])(x)


@hk.transform_with_state
def haiku_with_state(x):
    return hk.Linear(3)(jax.nn.relu(hk.BatchNorm(True, True, 0.9)(hk.Linear(24)(x), True)))


def haiku_with_params():
    return haiku, haiku.init(KEY, jnp.ones((2, 12)))


def haiku_state_with_params():
    return haiku_with_state, haiku_with_state.init(KEY, jnp.ones((2, 12)))


def apply_fn(params, x):
    return jnp.tanh(x @ params["a"]) @ params["b"]


def function():
    return apply_fn, {"a": 0.3 * jax.random.normal(KEY, (12, 24)), "b": jax.random.normal(KEY, (24, 3))}


def compiled():
    return jax.jit(apply_fn), function()[1]


def function_with_batch():
    return *function(), jax.random.normal(KEY, (16, 12))


def zeros():
    return apply_fn, {"a": jnp.zeros((12, 24)), "b": jnp.zeros((24, 3))}, jax.random.normal(KEY, (16, 12))


def from_key(key):
    return {"a": jax.random.normal(key, (4, 8)), "b": jax.random.normal(key, (4, 8))}


def two_numbers():
    return Linen(), 3


def batch():
    return jax.random.normal(KEY, (16, 12))


def loss(output):
    return jnp.mean((output - 1.0) ** 2)
