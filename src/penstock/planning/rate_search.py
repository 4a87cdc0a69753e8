"""A learning rate for each optimizer, from training steps that an adapter takes: the search that all share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from penstock.planning.learning_rate import LearningRate, Optimizer, Step, climb, rate_from_ramp
from penstock.planning.rate_trial import settled

MOMENTUM = 0.9
"""Of SGD as it will train. The ramp is climbed without: momentum lags behind a growing rate, and overshoots."""

BETAS = (0.9, 0.999)
EPSILON = 1e-8

NOTHING = LearningRate(notes=("no parameter requires a gradient: there is nothing to train",))

Begin = Callable[[Optimizer, float], Step]
"""(optimizer, momentum) -> what takes steps from the start, to which it has put the model back."""


def search(optimizers: Sequence[Optimizer], begin: Begin) -> LearningRate:
    """Climb a ramp of rates for each optimizer, read the rate off it, and try that of SGD with momentum.

    Args:
        optimizers: for which.
        begin: see `Begin`.
    """
    found: dict[Optimizer, float | None] = {}
    notes: list[str] = []
    passes = 0
    for optimizer in optimizers:
        ramp = climb(optimizer, lambda optimizer=optimizer: begin(optimizer, 0.0))
        rate = rate_from_ramp(optimizer, ramp)
        if rate is not None and optimizer == "sgd":
            rate, taken = settled(rate, lambda: begin("sgd", MOMENTUM))
            passes += taken
        passes += ramp.passes
        found[optimizer] = rate
        if rate is None:
            notes.append(_why_none(optimizer, ramp.losses))
    return LearningRate(found.get("sgd"), found.get("adam"), tuple(notes), passes)


def _why_none(optimizer: Optimizer, losses: Sequence[float]) -> str:
    if not math.isfinite(losses[0]):
        return f"no rate for {optimizer}: the loss is {losses[0]} at the start"
    return f"no rate for {optimizer}: the loss on the batch fell at none of the {len(losses)} rates tried"
