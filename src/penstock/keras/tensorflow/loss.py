"""The scalar that is differentiated: the user's loss, or a random inner product of known scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from penstock.keras.tensorflow.program import is_float_type, numpy_type
from penstock.randomness import fill, key_for
from penstock.tracing import loss as loss_core

if TYPE_CHECKING:
    from penstock.keras.tensorflow.tracer import Traced

Loss = Callable[[Any], Any]

_EXAMPLE = "penstock.check(model, batch, loss=lambda output: keras.ops.mean((output - target) ** 2))"


def check_loss(loss: Any) -> None:
    """See that the loss is none, or can be called.

    Raises:
        ArgumentError: otherwise.
    """
    loss_core.check_loss(loss, example=_EXAMPLE)


def inner_product(outputs: Sequence[Any]) -> Any:
    """The random loss: each output times independent unit-variance normal numbers, so gradients start at RMS 1."""
    total = tf.constant(0.0)
    for place, output in enumerate(outputs):
        if _is_float(output):
            weights = fill("normal", tuple(output.shape), key_for(loss_core.RANDOM_LOSS_SEED, f"loss.{place}"))
            wide = tf.float64 if output.dtype in (tf.float64, tf.complex128) else tf.float32
            real = tf.math.real(output) if output.dtype.is_complex else output
            total = total + tf.cast(tf.reduce_sum(tf.cast(real, wide) * tf.cast(weights, wide)), tf.float32)
    return total


def evaluate(loss: Loss, output: Any) -> Any:
    """The user's loss of the model's output.

    Raises:
        ArgumentError: if it is no scalar of floating-point numbers.
        ModelError: if the loss raises.
    """
    value = loss_core.called(loss, output, shown=_describe(output), example=_EXAMPLE)
    if not tf.is_tensor(value) or not value.dtype.is_floating or value.shape.num_elements() != 1:
        raise loss_core.no_scalar("tensor", _describe(value))
    return tf.reshape(value, ())


def best_constant(loss: Loss, traced: Traced, outputs: Sequence[Any]) -> float | None:
    """The loss of the best output that ignores the input; None where the output has no single tensor to search."""
    places = [place for place, tensor in enumerate(outputs) if _is_float(tensor)]
    if len(places) != 1:
        return None
    (place,) = places

    def of(values: Any) -> Any:
        filled = list(outputs)
        filled[place] = tf.cast(tf.broadcast_to(values, outputs[place].shape), outputs[place].dtype)
        return tf.reduce_sum(tf.cast(loss(traced.output(filled)), tf.float32))

    def slope(values: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        guess = tf.constant(values, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(guess)
            value = of(guess)
        gradient = tape.gradient(value, guess, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return float(value), np.asarray(gradient, np.float64)

    return loss_core.best_constant(tuple(outputs[place].shape), lambda x: float(of(tf.constant(x, tf.float32))), slope)


def _describe(value: Any) -> str:
    if tf.is_tensor(value):
        return f"a tensor of shape {tuple(value.shape)} and dtype {value.dtype.name}"
    return type(value).__name__


def _is_float(tensor: Any) -> bool:
    return is_float_type(numpy_type(tensor.dtype))
