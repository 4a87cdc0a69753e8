"""Losses, scores and optimizers of a race on TensorFlow, by the equations that PyTorch's optimizers follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from penstock.planning.rate_search import BETAS, EPSILON, MOMENTUM
from penstock.racing.arm import WEIGHT_DECAY
from penstock.racing.data import Kind

Loss = Callable[[Any, Any], Any]
Moments = tuple[Any, Any]


def loss_of(kind: Kind, own: Loss | None) -> Loss:
    """The user's own loss, or cross-entropy in nats, or the mean square error."""
    if own is not None:
        return own
    return _cross_entropy if kind == "classes" else _square_error


def score_sum(kind: Kind, output: Any, targets: Any) -> Any:
    """Right answers, or the square error, summed over the batch."""
    if kind == "classes":
        right = tf.equal(tf.argmax(output, axis=-1, output_type=targets.dtype), targets)
        return tf.reduce_sum(tf.cast(right, tf.float32))
    return tf.reduce_sum(tf.cast(tf.square(tf.reshape(output, tf.shape(targets)) - targets), tf.float32))


def update(
    optimizer: str, value: Any, gradient: Any, moments: Moments, rate: Any, correction: Moments
) -> tuple[Any, Moments]:
    """One step of one parameter: the new value, and the new moments; SGD has its velocity as the first of them.

    Args:
        optimizer: "adam", "adamw" or "sgd".
        value: of the parameter.
        gradient: of the loss by it.
        moments: first and second; zeros before the first step.
        rate: the learning rate.
        correction: 1 - beta^t of both betas, for the step t.

    Source:
        Kingma & Ba 2015, algorithm 1, https://arxiv.org/abs/1412.6980; Loshchilov & Hutter 2019, algorithm 2,
        https://arxiv.org/abs/1711.05101, with the decay scaled by the rate
    """
    first, second = moments
    kind = value.dtype
    rate, (bias, square) = tf.cast(rate, kind), (tf.cast(each, kind) for each in correction)
    if optimizer == "sgd":
        first = MOMENTUM * first + gradient
        return value - rate * first, (first, second)
    if optimizer == "adamw":
        value = value * (1.0 - rate * WEIGHT_DECAY)
    first = BETAS[0] * first + (1.0 - BETAS[0]) * gradient
    second = BETAS[1] * second + (1.0 - BETAS[1]) * tf.square(gradient)
    root = tf.sqrt(second) / tf.sqrt(square) + EPSILON
    return value - rate / bias * first / root, (first, second)


def _cross_entropy(output: Any, targets: Any) -> Any:
    logits = tf.reshape(tf.cast(output, tf.float32), (-1, output.shape[-1]))
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.reshape(targets, (-1,)), logits=logits)
    return tf.reduce_mean(each)


def _square_error(output: Any, targets: Any) -> Any:
    return tf.reduce_mean(tf.square(tf.reshape(output, tf.shape(targets)) - targets))
