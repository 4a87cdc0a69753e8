"""Training steps on one batch, of which the search for a learning rate is made; no array is changed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from penstock.jax.measure.batch import Batch
from penstock.jax.measure.loss import Loss, evaluate
from penstock.jax.models import Target
from penstock.planning.learning_rate import LearningRate, Optimizer, Step
from penstock.planning.optimizers import Slope, Trainer, moved
from penstock.planning.rate_search import NOTHING, search

Arrays = dict[str, jax.Array]


def measure_learning_rate(target: Target, batch: Batch, *, loss: Loss, optimizers: Sequence[Optimizer]) -> LearningRate:
    """Find the rate for each optimizer by training on the batch with a growing one.

    Keys are the same in every step, so that dropout makes the same choice: else its noise would hide at which rate the
    loss turns.

    Args:
        target: the model at its start.
        batch: one batch, of the size that it will be trained with.
        loss: from the model's output to a scalar.
        optimizers: for which.
    """
    own = {n: a for n, a in target.parameters.items() if n not in target.frozen and a.size > 0}
    if not own:
        return NOTHING
    slope = _slope(target, batch, loss, own)

    def begin(optimizer: Optimizer, momentum: float) -> Step:
        return _trainer(slope, own, optimizer, momentum=momentum).step

    return search(optimizers, begin)


def _slope(target: Target, batch: Batch, loss: Loss, own: Arrays) -> Slope:
    """The loss and its gradient at given weights, compiled once."""
    fixed = {n: a for n, a in target.parameters.items() if n not in own}
    state, inputs = list(target.state.values()), list(batch.arrays.values())

    def value(own: Arrays, fixed: Arrays, state: Sequence[Any], inputs: Sequence[Any]) -> jax.Array:
        # In the type that the model holds; the steps go on in float32.
        all_of = {n: (own | fixed)[n].astype(a.dtype) for n, a in target.parameters.items()}
        args, kwargs = batch.call(inputs)
        return evaluate(loss, target.call(list(all_of.values()), state, args, kwargs))

    compiled = jax.jit(jax.value_and_grad(value))
    return lambda weights: compiled(weights, fixed, state, inputs)


def _trainer(slope: Slope, own: Arrays, optimizer: Optimizer, *, momentum: float) -> Trainer:
    """Steps of one optimizer, on float32 copies of weights that are held in less."""
    start = {n: a.astype(jnp.promote_types(a.dtype, jnp.float32)) for n, a in own.items()}
    return Trainer(slope, start, partial(_move, momentum=momentum, optimizer=optimizer), jnp.zeros_like)


@partial(jax.jit, static_argnames="optimizer")
def _move(weights: Arrays, gradients: Arrays, *rest: Any, optimizer: Optimizer, momentum: Any) -> Any:
    # Of a complex weight JAX's gradient is the conjugate of the direction in which the loss grows.
    slopes = {name: jnp.conj(gradient) for name, gradient in gradients.items()}
    return moved(weights, slopes, *rest, optimizer=optimizer, momentum=momentum, sqrt=jnp.sqrt, square=squared)


def squared(values: jax.Array) -> jax.Array:
    """The squared magnitude of each element."""
    return jnp.real(values * jnp.conj(values))
