"""Adam, AdamW and SGD with momentum for one parameter, by the equations that PyTorch's optimizers follow."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from penstock.planning.rate_search import BETAS, EPSILON, MOMENTUM
from penstock.racing.arm import WEIGHT_DECAY

Moments = tuple[Any, Any]


def corrections(made: int) -> Moments:
    """By what Adam divides its moments in this step, counted from 1: 1 - beta^t."""
    return 1.0 - BETAS[0] ** made, 1.0 - BETAS[1] ** made


def update(
    optimizer: str, value: jax.Array, gradient: jax.Array, moments: Moments, rate: Any, correction: Moments
) -> tuple[jax.Array, Moments]:
    """One step: the new value, and the new moments; SGD has its velocity as the first of them.

    Args:
        optimizer: "adam", "adamw" or "sgd".
        value: of the parameter.
        gradient: of the loss by it.
        moments: first and second; zeros before the first step.
        rate: the learning rate.
        correction: from `corrections`.

    Source:
        Kingma & Ba 2015, algorithm 1, https://arxiv.org/abs/1412.6980; Loshchilov & Hutter 2019, algorithm 2,
        https://arxiv.org/abs/1711.05101, with the decay scaled by the rate
    """
    first, second = moments
    if optimizer == "sgd":
        first = MOMENTUM * first + gradient
        return value - rate * first, (first, second)
    if optimizer == "adamw":
        value = value * (1.0 - rate * WEIGHT_DECAY)
    first = BETAS[0] * first + (1.0 - BETAS[0]) * gradient
    second = BETAS[1] * second + (1.0 - BETAS[1]) * jnp.square(jnp.abs(gradient))
    root = jnp.sqrt(second) / jnp.sqrt(correction[1]) + EPSILON
    return value - rate / correction[0] * first / root, (first, second)
