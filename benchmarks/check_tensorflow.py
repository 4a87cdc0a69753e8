"""What a check of a Keras model costs on TensorFlow, in units of one compiled forward and backward.

    OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 KERAS_BACKEND=tensorflow PYTHONPATH=src \
        python benchmarks/check_tensorflow.py

Both in seconds of CPU time, the best of a few; what is compiled and traced once is told apart. The unit is the gradient
of an inner product of the output with respect to all weights, as a `tf.function`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from penstock.keras.models import call_of
from penstock.keras.tensorflow.check import measured_of
from penstock.keras.tensorflow.target import batch_of, target_of
from penstock.keras.tensorflow.tracer import trace


def normal(*shape: int) -> Any:
    """A batch."""
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def mlp() -> tuple[keras.Model, Any]:
    """Ten layers, width 1024."""
    body = [layers.Dense(1024, activation="gelu") for _ in range(10)]
    return keras.Sequential([layers.Input((1024,)), *body]), normal(256, 1024)


def cnn() -> tuple[keras.Model, Any]:
    """Six 3x3 convolutions with batch norms."""
    body = [(layers.Conv2D(64, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()) for _ in range(6)]
    made = [layer for block in body for layer in block]
    return keras.Sequential([layers.Input((32, 32, 3)), *made, layers.GlobalAveragePooling2D()]), normal(16, 32, 32, 3)


def transformer() -> tuple[keras.Model, Any]:
    """Six pre-norm layers of width 384, eight heads."""
    x = inputs = layers.Input((128, 384))
    for _ in range(6):
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(8, 48)(y, y)
        x = x + layers.Dense(384)(layers.Dense(4 * 384, activation="gelu")(layers.LayerNormalization()(x)))
    return keras.Model(inputs, x), normal(8, 128, 384)


CASES: dict[str, Callable[[], tuple[keras.Model, Any]]] = {
    "mlp 10x1024, batch 256": mlp,
    "cnn 6x64, 16x32x32": cnn,
    "transformer 6x384, 8x128": transformer,
}


def timed(function: Callable[[], Any]) -> float:
    """CPU time of one call."""
    began = time.process_time()
    function()
    return time.process_time() - began


def row(name: str, make: Callable[[], tuple[keras.Model, Any]]) -> str:
    """One line of the table."""
    model, x = make()
    given = tf.constant(x)
    weights = tf.constant(normal(*model(given).shape))

    @tf.function
    def step(given: Any, weights: Any) -> Any:
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(model(given, training=True) * weights)
        return tape.gradient(value, model.trainable_variables)

    first = timed(lambda: step(given, weights))
    unit = min(timed(lambda: step(given, weights)) for _ in range(5))
    target, batch = target_of(model), batch_of(call_of(model, x))
    held: list[Any] = []
    tracing = timed(lambda: held.append(trace(target, batch)))
    check = min(timed(lambda: measured_of(target, batch, held[0], loss=None)) for _ in range(4))
    once = f"{first - unit:.1f} s | {tracing:.1f} s"
    return f"| {name} | {unit:.3f} s | {check:.3f} s | {check / unit:.2f} | {once} |"


def main() -> None:
    """Print the table."""
    print("| model | forward and backward | check | times | compile: unit | trace: check |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, make in CASES.items():
        print(row(name, make))


if __name__ == "__main__":
    main()
