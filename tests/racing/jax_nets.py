"""Factories of JAX models for the race tests, where other processes can find them."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
from flax import linen, nnx


class Linen(linen.Module):
    """Makes its parameters from a batch."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        return linen.Dense(3)(linen.relu(linen.Dense(8)(x)))


class Nnx(nnx.Module):
    """Is changed in place."""

    def __init__(self, key: Any) -> None:
        rngs = nnx.Rngs(key)
        self.first, self.last = nnx.Linear(13, 8, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.last(nnx.relu(self.first(x)))


class MovingLinen(linen.Module):
    """Has running statistics, and is told whether it is trained."""

    @linen.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        x = linen.Dense(8)(x)
        x = linen.BatchNorm(use_running_average=not train, momentum=0.8)(x)
        return linen.Dense(3)(linen.Dropout(0.0, deterministic=not train)(linen.relu(x)))


class MovingNnx(nnx.Module):
    """Has running statistics, noise, and a mode."""

    def __init__(self, key: Any) -> None:
        rngs = nnx.Rngs(key)
        self.first, self.last = nnx.Linear(13, 8, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)
        self.norm, self.drop = nnx.BatchNorm(8, momentum=0.8, rngs=rngs), nnx.Dropout(0.2, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.last(self.drop(nnx.relu(self.norm(self.first(x)))))


def _moving_haiku(x: Any, is_training: bool = True) -> Any:
    x = hk.BatchNorm(True, True, 0.8)(hk.Linear(8)(x), is_training)
    return hk.Linear(3)(jax.nn.relu(x))


def moving_haiku() -> Any:
    return hk.without_apply_rng(hk.transform_with_state(_moving_haiku))


def still() -> Any:
    """A function of parameters and statistics that gives its output alone."""
    module = MovingLinen()
    variables = module.init(jax.random.PRNGKey(0), jnp.ones((2, 13)))

    def apply_fn(variables: Any, x: Any) -> Any:
        return module.apply(variables, x)

    return apply_fn, variables


def equinox(key: Any) -> Any:
    return eqx.nn.MLP(13, 3, 8, 1, key=key)


def _haiku(x: Any) -> Any:
    return hk.nets.MLP([8, 3])(x)


def haiku() -> Any:
    return hk.without_apply_rng(hk.transform(_haiku))


def apply_fn(params: Any, x: Any) -> Any:
    return jax.nn.relu(x @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"]


def function(key: Any) -> Any:
    first, last = jax.random.split(key)
    return apply_fn, {
        "w1": jax.random.normal(first, (13, 8)) * 0.2,
        "b1": jnp.zeros(8),
        "w2": jax.random.normal(last, (8, 3)) * 0.2,
        "b2": jnp.zeros(3),
    }


def unchanging() -> Any:
    return function(jax.random.PRNGKey(0))


ONLY = Nnx(jax.random.PRNGKey(0))


def the_same() -> Any:
    return ONLY


def nothing() -> Any:
    return 7
