"""Training steps on one batch, of which the search for a learning rate is made; no variable is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from penstock.keras.tensorflow.loss import Loss, evaluate
from penstock.keras.tensorflow.target import Batch, Target
from penstock.planning.learning_rate import LearningRate, Optimizer, Step
from penstock.planning.optimizers import Slope, Trainer, moved
from penstock.planning.rate_search import NOTHING, search

Arrays = dict[str, npt.NDArray[Any]]


def measure_learning_rate(target: Target, batch: Batch, *, loss: Loss, optimizers: Sequence[Optimizer]) -> LearningRate:
    """Find the rate for each optimizer by training on the batch with a growing one.

    Seeds are the same in every step, so that dropout makes the same choice: else its noise would hide at which rate the
    loss turns.

    Args:
        target: the model at its start.
        batch: one batch, of the size that it will be trained with.
        loss: from the model's output to a scalar.
        optimizers: for which.
    """
    start = {name: array for name, array in target.arrays().items() if name not in target.frozen and array.size > 0}
    if not start:
        return NOTHING
    slope = _slope(target, batch, loss, list(start))

    def begin(optimizer: Optimizer, momentum: float) -> Step:
        # On float32 copies of weights that are held in less.
        copies = {n: a.astype(np.promote_types(a.dtype, np.float32)) for n, a in start.items()}
        return Trainer(slope, copies, partial(_move, momentum=momentum, optimizer=optimizer), np.zeros_like).step

    return search(optimizers, begin)


def _slope(target: Target, batch: Batch, loss: Loss, own: Sequence[str]) -> Slope:
    """The loss and its gradient at given weights, compiled once."""
    behind = target.inputs(batch)[len(target.values) :]

    def value(*weights: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(weights))
            # In the type that the model holds; the steps go on in float32.
            given = dict(zip(own, weights, strict=True))
            all_of = [tf.cast(given.get(name, held), held.dtype) for name, held in target.values.items()]
            found = evaluate(loss, target.call(batch, [*all_of, *behind]))
        slopes = tape.gradient(found, list(weights), unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return found, [tf.convert_to_tensor(slope) for slope in slopes]

    compiled = tf.function(value, autograph=False)

    def slope(weights: Mapping[str, npt.NDArray[Any]]) -> tuple[float, Arrays]:
        found, slopes = compiled(*(tf.constant(weights[name]) for name in own))
        return float(found), {name: each.numpy() for name, each in zip(own, slopes, strict=True)}

    return slope


def _move(*given: Any, **named: Any) -> Any:
    with np.errstate(all="ignore"):  # a rate that is too large is part of the search
        return moved(*given, **named, sqrt=np.sqrt, square=np.square)
