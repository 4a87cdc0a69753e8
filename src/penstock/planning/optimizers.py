"""Adam, AdamW and SGD with momentum for one parameter, by the equations that PyTorch's optimizers follow.

Written with operators alone, so that arrays of NumPy and JAX and tensors of TensorFlow go through the same lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from penstock.planning.rate_search import BETAS, EPSILON, MOMENTUM

Moments = tuple[Any, Any]
Arrays = Mapping[str, Any]
Slope = Callable[[Any], tuple[Any, Any]]
"""From weights to the loss and its gradient."""
Move = Callable[[Any, Any, Any, Any, Moments], tuple[Any, Any]]
"""(weights, gradients, moments, rate, corrections) -> weights, moments: `update` for each parameter."""


def corrections(made: int) -> Moments:
    """By what Adam divides its moments in this step, counted from 1: 1 - beta^t."""
    return 1.0 - BETAS[0] ** made, 1.0 - BETAS[1] ** made


def update(
    optimizer: str,
    value: Any,
    gradient: Any,
    moments: Moments,
    rate: Any,
    correction: Moments,
    *,
    sqrt: Callable[[Any], Any],
    square: Callable[[Any], Any],
    momentum: Any = MOMENTUM,
    decay: float = 0.0,
) -> tuple[Any, Moments]:
    """One step: the new value, and the new moments; SGD has its velocity as the first of them.

    Args:
        optimizer: "sgd", or Adam.
        value: of the parameter.
        gradient: of the loss by it.
        moments: first and second; zeros before the first step.
        rate: the learning rate.
        correction: from `corrections`.
        sqrt: the root of each element, in the framework's own operations.
        square: the squared magnitude of each element.
        momentum: of SGD.
        decay: of Adam, times the rate; AdamW's.

    Source:
        Kingma & Ba 2015, algorithm 1, https://arxiv.org/abs/1412.6980; Loshchilov & Hutter 2019, algorithm 2,
        https://arxiv.org/abs/1711.05101, with the decay scaled by the rate
    """
    first, second = moments
    if optimizer == "sgd":
        first = momentum * first + gradient
        return value - rate * first, (first, second)
    if decay:
        value = value * (1.0 - rate * decay)
    first = BETAS[0] * first + (1.0 - BETAS[0]) * gradient
    second = BETAS[1] * second + (1.0 - BETAS[1]) * square(gradient)
    root = sqrt(second) / sqrt(correction[1]) + EPSILON
    return value - rate / correction[0] * first / root, (first, second)


def moved(
    weights: Arrays,
    gradients: Arrays,
    moments: Mapping[str, Moments],
    rate: Any,
    correction: Moments,
    *,
    optimizer: str,
    **given: Any,
) -> tuple[dict[str, Any], dict[str, Moments]]:
    """`update` for every parameter by its name, in the types that they had; `given` goes on to it."""
    made = {n: update(optimizer, w, gradients[n], moments[n], rate, correction, **given) for n, w in weights.items()}
    return {n: new.astype(weights[n].dtype) for n, (new, _) in made.items()}, {n: m for n, (_, m) in made.items()}


class Trainer:
    """Training steps on one batch; no array of the model is changed."""

    def __init__(self, slope: Slope, start: Arrays, move: Move, zeros: Callable[[Any], Any]) -> None:
        """Begin at a start.

        Args:
            slope: the loss and its gradient at given weights.
            start: the weights, in the type that steps are made in.
            move: one step of all weights.
            zeros: an array of zeros like another.
        """
        self._slope, self._move = slope, move
        self._weights = start
        self._moments = {name: (zeros(w), zeros(w)) for name, w in start.items()}
        self._made = 0

    def step(self, rate: float) -> float:
        """See `penstock.planning.learning_rate.Step`."""
        value, gradients = self._slope(self._weights)
        found = float(value)
        if math.isfinite(found):
            self._made += 1
            self._weights, self._moments = self._move(
                self._weights, gradients, self._moments, rate, corrections(self._made)
            )
        return found
