"""The loss of a race of JAX models, and the score on held-out data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from penstock.racing.data import Kind

Loss = Callable[[Any, Any], Any]


def loss_of(kind: Kind, own: Loss | None) -> Loss:
    """The user's own loss, or cross-entropy in nats, or the mean square error."""
    if own is not None:
        return own
    return _cross_entropy if kind == "classes" else _square_error


def score_sum(kind: Kind, output: Any, targets: Any) -> jax.Array:
    """Right answers, or the square error, summed over the batch."""
    made = _array_of(output)
    if kind == "classes":
        return jnp.sum(jnp.argmax(made, axis=-1) == targets).astype(jnp.float32)
    return jnp.sum(jnp.square(made.reshape(targets.shape) - targets)).astype(jnp.float32)


def _array_of(output: Any) -> Any:
    return output.logits if hasattr(output, "logits") else output


def _cross_entropy(output: Any, targets: Any) -> jax.Array:
    logits = _array_of(output)
    logs = jax.nn.log_softmax(logits.reshape(-1, logits.shape[-1]))
    return -jnp.mean(jnp.take_along_axis(logs, targets.reshape(-1, 1), axis=1))


def _square_error(output: Any, targets: Any) -> jax.Array:
    return jnp.mean(jnp.square(_array_of(output).reshape(targets.shape) - targets))
