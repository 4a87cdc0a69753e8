"""What the output of a Keras model means to the loss of a race."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from penstock.keras.racing.parts import parts_of

LEAST = 1e-7
"""Probabilities below it count as this one: that is `keras.config.epsilon()`, where nobody has changed it."""

SUM_TOLERANCE = 1e-2
"""Rows of a softmax in float16 sum to 1 within this; those of anything else do not, all of them."""


def output_of(model: keras.layers.Layer, inputs: Any) -> Any:
    """The model's output in evaluation, as an array of NumPy; None where it is no single array, or raises."""
    parts = parts_of(model)
    try:
        output, _ = parts.run([v.value for v in parts.own], [v.value for v in parts.rest], inputs, training=False)
    except Exception:  # the first step raises it again, and is told
        return None
    if not hasattr(output, "shape") or not hasattr(output, "dtype"):
        return None
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(output, "float32")))


def probabilities(model: keras.layers.Layer, inputs: Any) -> bool:
    """Whether the model ends in a softmax, told by its output: nothing negative, and every row sums to 1."""
    output = output_of(model, inputs)
    if output is None or output.ndim < 2 or output.shape[-1] < 2:
        return False
    return bool(np.all(output >= 0.0) and np.all(np.abs(output.sum(axis=-1) - 1.0) < SUM_TOLERANCE))


def of_probabilities(loss: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A loss of logits as one of probabilities, whose logarithms are logits of the same."""
    return lambda output, targets: loss(keras.ops.log(keras.ops.maximum(output, LEAST)), targets)


def keras_order(loss: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A loss of Keras's, which is called with the targets first, as one of (output, targets)."""
    home = str(getattr(loss, "__module__", "")).partition(".")[0]
    if isinstance(loss, keras.losses.Loss):
        return lambda output, targets: loss(targets, output)
    if home == "keras":  # a function of Keras's gives the loss of each row
        return lambda output, targets: keras.ops.mean(loss(targets, output))
    return loss
