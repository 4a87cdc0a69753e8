"""Training steps on one batch, of which the search for a learning rate is made; no array is changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from penstock.jax.measure.batch import Batch
from penstock.jax.measure.loss import Loss, evaluate
from penstock.jax.models import Target
from penstock.planning.learning_rate import LearningRate, Optimizer, Step
from penstock.planning.rate_search import BETAS, EPSILON, NOTHING, search

Arrays = dict[str, jax.Array]
State = tuple[Arrays, ...]
Update = Callable[[Arrays, Arrays, State, Any, Any], tuple[Arrays, State]]
"""(weights, gradients, state, rate, number of the step) -> weights, state."""


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
        return _Trainer(slope, own, optimizer, momentum=momentum).step

    return search(optimizers, begin)


def _slope(target: Target, batch: Batch, loss: Loss, own: Arrays) -> Callable[[Arrays], tuple[jax.Array, Arrays]]:
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


class _Trainer:
    """Steps of one optimizer, on float32 copies of weights that are held in less."""

    def __init__(
        self,
        slope: Callable[[Arrays], tuple[jax.Array, Arrays]],
        start: Arrays,
        optimizer: Optimizer,
        *,
        momentum: float,
    ) -> None:
        self._slope = slope
        self._weights = {n: a.astype(jnp.promote_types(a.dtype, jnp.float32)) for n, a in start.items()}
        self._update: Update = _adam if optimizer != "sgd" else _sgd(momentum)
        states = 2 if optimizer != "sgd" else 1
        self._state = tuple({n: jnp.zeros_like(w) for n, w in self._weights.items()} for _ in range(states))
        self._steps = 0

    def step(self, rate: float) -> float:
        """See `penstock.planning.learning_rate.Step`."""
        value, gradients = self._slope(self._weights)
        found = float(value)
        if math.isfinite(found):
            self._steps += 1
            self._weights, self._state = self._update(self._weights, gradients, self._state, rate, float(self._steps))
        return found


def _sgd(momentum: float) -> Update:
    """SGD as `torch.optim.SGD` and `optax.sgd` have it."""
    return lambda *given: _heavy_ball(*given, momentum)


@jax.jit
def _heavy_ball(
    weights: Arrays, gradients: Arrays, state: State, rate: Any, step: Any, momentum: Any
) -> tuple[Arrays, State]:
    # Of a complex weight JAX's gradient is the conjugate of the direction in which the loss grows.
    moved = {n: momentum * state[0][n] + jnp.conj(gradients[n]) for n in weights}
    return {n: (weights[n] - rate * moved[n]).astype(weights[n].dtype) for n in weights}, (moved,)


@jax.jit
def _adam(weights: Arrays, gradients: Arrays, state: State, rate: Any, step: Any) -> tuple[Arrays, State]:
    """Adam as `torch.optim.Adam` has it."""
    means, squares, made = {}, {}, {}
    for n, weight in weights.items():
        slope = jnp.conj(gradients[n])
        means[n] = BETAS[0] * state[0][n] + (1.0 - BETAS[0]) * slope
        squares[n] = BETAS[1] * state[1][n] + (1.0 - BETAS[1]) * jnp.real(slope * jnp.conj(slope))
        root = jnp.sqrt(squares[n] / (1.0 - BETAS[1] ** step)) + EPSILON
        made[n] = (weight - rate / (1.0 - BETAS[0] ** step) * means[n] / root).astype(weight.dtype)
    return made, (means, squares)
