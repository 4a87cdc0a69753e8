"""Losses and scores of a race on TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from penstock.racing.data import Kind

Loss = Callable[[Any, Any], Any]


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


def _cross_entropy(output: Any, targets: Any) -> Any:
    logits = tf.reshape(tf.cast(output, tf.float32), (-1, output.shape[-1]))
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.reshape(targets, (-1,)), logits=logits)
    return tf.reduce_mean(each)


def _square_error(output: Any, targets: Any) -> Any:
    return tf.reduce_mean(tf.square(tf.reshape(output, tf.shape(targets)) - targets))
