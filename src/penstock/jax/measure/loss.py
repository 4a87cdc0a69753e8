"""The scalar that is differentiated: the user's loss, or a random inner product of known scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from penstock.errors import ArgumentError, ModelError, message
from penstock.jax.trace.program import is_float_type
from penstock.randomness import fill, key_for

Loss = Callable[[Any], Any]

RANDOM_LOSS_SEED = 0
"""The random inner product is the same in every call, so that two checks of one model give the same numbers."""

CONSTANT_STEPS = 40
"""BFGS steps for the best constant guess: these problems are convex and of one row, and settle in about ten."""

CONSTANT_ELEMENTS = 4_000_000
"""Outputs larger than this are not searched for the best constant guess: it would cost more than the check."""


def check_loss(loss: Any) -> None:
    """See that the loss is none, or can be called.

    Raises:
        ArgumentError: otherwise.
    """
    if loss is not None and not callable(loss):
        raise ArgumentError(
            message(
                f"check: loss must be a function of the model's output; got {type(loss).__name__}.",
                hint="penstock.check(apply_fn, params, batch, loss=lambda output: jnp.mean((output - target) ** 2))",
            )
        )


def random_weights(outputs: Sequence[Any]) -> list[npt.NDArray[np.float32]]:
    """Independent unit-variance normal numbers for each output: the backward signal starts at RMS 1."""
    return [
        fill("normal", tuple(out.shape), key_for(RANDOM_LOSS_SEED, f"loss.{i}"))
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
    try:
        value = loss(output)
    except Exception as error:
        raise ModelError(
            message(
                f"check: loss must take the model's output; it raised {type(error).__name__}: {error}",
                at=f"output {_describe(output)}",
                hint="penstock.check(apply_fn, params, batch, loss=lambda output: jnp.mean((output - target) ** 2))",
            )
        ) from error
    if not hasattr(value, "dtype") or not jnp.issubdtype(value.dtype, jnp.floating) or jnp.size(value) != 1:
        raise ArgumentError(
            message(
                f"check: loss must return a scalar array; got {_describe(value)}.",
                hint="reduce it: loss=lambda output: criterion(output, target).mean()",
            )
        )
    return jnp.reshape(value, ())


def _describe(value: Any) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"an array of shape {tuple(value.shape)} and dtype {value.dtype}"
    return type(value).__name__


def best_constant(loss: Loss, output: Any) -> float | None:
    """The loss of the best output that ignores the input: one number for each output unit, the same for every input.

    That is all zeros, or better where the units are fewer than the inputs: fitted to a batch that is smaller than the
    number of classes, a constant would know the batch's labels by heart.

    None where the output has no single array that the loss reads, is too large to search, or the search fails.
    """
    leaves, structure = jax.tree_util.tree_flatten(output)
    places = [i for i, leaf in enumerate(leaves) if hasattr(leaf, "dtype") and is_float_type(leaf.dtype)]
    if len(places) != 1 or leaves[places[0]].ndim == 0 or leaves[places[0]].size > CONSTANT_ELEMENTS:
        return None
    shape, dtype = leaves[places[0]].shape, leaves[places[0]].dtype

    def of(values: Any) -> Any:
        filled = list(leaves)
        filled[places[0]] = jnp.broadcast_to(values, shape).astype(dtype)
        return jnp.sum(jnp.asarray(loss(jax.tree_util.tree_unflatten(structure, filled))))

    # Units lie on the last axis, or on the second one of images and sequences of channels.
    axes = {len(shape) - 1, 1} if len(shape) > 1 else {0}
    fitted = [axis for axis in sorted(axes) if len(shape) > 1 and math.prod(shape) >= shape[axis] ** 2]
    try:
        values = [float(of(jnp.zeros(())))]
        values += [_fit(of, [n if a == axis else 1 for a, n in enumerate(shape)]) for axis in fitted]
    except Exception:  # the user's loss may want more of the output than its array
        return None
    found = [value for value in values if math.isfinite(value)]
    return min(found) if found else None


def _fit(of: Callable[[Any], Any], size: list[int]) -> float:
    """The smallest loss that BFGS finds from zero."""
    step = jax.jit(jax.value_and_grad(lambda flat: of(flat.reshape(size))))
    point = np.zeros(math.prod(size), np.float32)
    value, slope = (np.asarray(x, np.float64) for x in step(point))
    inverse = np.eye(point.size)
    for _ in range(CONSTANT_STEPS):
        direction = -inverse @ slope
        descent = float(slope @ direction)
        if descent > -1e-12:
            break
        length = 1.0
        while length > 1e-6:
            moved = (point + length * direction).astype(np.float32)
            new_value, new_slope = (np.asarray(x, np.float64) for x in step(moved))
            if new_value <= value + 1e-4 * length * descent:
                break
            length /= 2
        else:
            break
        s, y = (moved - point).astype(np.float64), new_slope - slope
        if (sy := float(s @ y)) > 1e-12:
            left = np.eye(point.size) - np.outer(s, y) / sy
            inverse = left @ inverse @ left.T + np.outer(s, s) / sy
        point, value, slope = moved, new_value, new_slope
    return float(value)
