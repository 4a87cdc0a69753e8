"""Some real steps at more than the learning rate that was found: where they do not calm down, it is lowered."""

from __future__ import annotations

import math
from collections.abc import Callable

from penstock.planning.rounding import rounded

Step = Callable[[float], float]

STEPS = 24
"""Momentum 0.9 has come to its full speed after about ten steps; a rate that is too large shows in the next ten."""
CALM = 1.3
"""A loss may rise to this many times the first one. Heads of RMS 1 begin half a nat above guessing."""
MARGIN = 2.6
"""Tried at so many times the rate: other batches are rougher than the one that is learnt by heart here."""
LOWER = 1.6
TRIES = 9


def settled(rate: float, begin: Callable[[], Step]) -> tuple[float | None, int]:
    """The rate, or the first lower one at `MARGIN` times which the loss stays calm and falls; and the steps that took.

    Args:
        rate: to begin with.
        begin: puts the model back to its start, and gives a function that takes one step at a rate and returns the
            loss before it.

    Returns:
        None where even the lowest is not calm.
    """
    taken = 0
    for _ in range(TRIES):
        step, losses = begin(), []
        while len(losses) < STEPS and (not losses or losses[-1] <= CALM * losses[0]):
            losses.append(step(MARGIN * rate))
        taken += len(losses)
        # Comparisons with NaN are false: a loss that is none ends the trial and is not calm.
        if len(losses) == STEPS and losses[-1] < losses[0] and all(map(math.isfinite, losses)):
            return rate, taken
        rate = rounded(rate / LOWER)
    return None, taken
