"""The scalar that is differentiated: the user's loss, or a random inner product of known scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from penstock.jax.trace.program import is_float_type
from penstock.randomness import fill, key_for
from penstock.tracing import loss as loss_core

Loss = Callable[[Any], Any]

_EXAMPLE = "penstock.check(apply_fn, params, batch, loss=lambda output: jnp.mean((output - target) ** 2))"


def check_loss(loss: Any) -> None:
    """See that the loss is none, or can be called.

    Raises:
        ArgumentError: otherwise.
    """
    loss_core.check_loss(loss, example=_EXAMPLE)


def random_weights(outputs: Sequence[Any]) -> list[npt.NDArray[np.float32]]:
    """Independent unit-variance normal numbers for each output: the backward signal starts at RMS 1."""
    return [
        fill("normal", tuple(out.shape), key_for(loss_core.RANDOM_LOSS_SEED, f"loss.{i}"))
        if is_float_type(out.dtype)
        else np.zeros((), np.float32)
        for i, out in enumerate(outputs)
    ]


def inner_product(outputs: Sequence[Any], weights: Sequence[Any]) -> jax.Array:
    """The random loss."""
    terms = [
        jnp.sum(jnp.real(out).astype(_wide(out)) * weight)
        for out, weight in zip(outputs, weights, strict=True)
        if is_float_type(out.dtype)
    ]
    return sum(terms, start=jnp.zeros(()))


def _wide(out: Any) -> Any:
    return jnp.float64 if out.dtype in (jnp.float64, jnp.complex128) else jnp.float32


def evaluate(loss: Loss, output: Any) -> jax.Array:
    """The user's loss of the model's output.

    Raises:
        ArgumentError: if it is no scalar of floating-point numbers.
        ModelError: if the loss raises.
    """
    value = loss_core.called(loss, output, shown=_describe(output), example=_EXAMPLE)
    if not hasattr(value, "dtype") or not jnp.issubdtype(value.dtype, jnp.floating) or jnp.size(value) != 1:
        raise loss_core.no_scalar("array", _describe(value))
    return jnp.reshape(value, ())


def _describe(value: Any) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"an array of shape {tuple(value.shape)} and dtype {value.dtype}"
    return type(value).__name__


def best_constant(loss: Loss, output: Any) -> float | None:
    """The loss of the best output that ignores the input; None where the output has no single array to search."""
    leaves, structure = jax.tree_util.tree_flatten(output)
    places = [i for i, leaf in enumerate(leaves) if hasattr(leaf, "dtype") and is_float_type(leaf.dtype)]
    if len(places) != 1:
        return None
    shape, dtype = leaves[places[0]].shape, leaves[places[0]].dtype

    def of(values: Any) -> Any:
        filled = list(leaves)
        filled[places[0]] = jnp.broadcast_to(values, shape).astype(dtype)
        return jnp.sum(jnp.asarray(loss(jax.tree_util.tree_unflatten(structure, filled))))

    compiled = jax.jit(jax.value_and_grad(of))

    def slope(values: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        value, gradient = compiled(values.astype(np.float32))
        return float(value), np.asarray(gradient, np.float64)

    return loss_core.best_constant(shape, lambda values: float(of(values.astype(np.float32))), slope)
