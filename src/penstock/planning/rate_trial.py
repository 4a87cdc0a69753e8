"""Some real steps at more than the learning rate that was found: it is lowered until they are calm, or raised."""

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
FACTOR = 1.6
"""From one try to the next."""
LOWERED, RAISED = 8, 6
"""Tries at most, beside the first."""


def settled(rate: float, begin: Callable[[], Step]) -> tuple[float | None, int]:
    """The rate near this one at `MARGIN` times which the loss stays calm and falls furthest; and the steps that took.

    Where the first try is not calm, rates are lowered until one is; where it is, they are raised as long as the loss
    stays calm and ends lower than with the rate before.

    Args:
        rate: to begin with.
        begin: puts the model back to its start, and gives a function that takes one step at a rate and returns the
            loss before it.

    Returns:
        None where even the lowest is not calm.
    """
    end, taken = _tried(MARGIN * rate, begin())
    if end is None:
        for _ in range(LOWERED):
            rate = rounded(rate / FACTOR)
            end, steps = _tried(MARGIN * rate, begin())
            taken += steps
            if end is not None:
                return rate, taken
        return None, taken
    for _ in range(RAISED):
        higher = rounded(rate * FACTOR)
        lower, steps = _tried(MARGIN * higher, begin())
        taken += steps
        if lower is None or lower >= end:
            break
        rate, end = higher, lower
    return rate, taken


def _tried(rate: float, step: Step) -> tuple[float | None, int]:
    """The last loss at a rate, None where it did not stay calm or did not fall; and the steps taken."""
    losses: list[float] = []
    while len(losses) < STEPS and (not losses or losses[-1] <= CALM * losses[0]):
        losses.append(step(rate))
    # Comparisons with NaN are false: a loss that is none ends the trial and is not calm.
    calm = len(losses) == STEPS and losses[-1] < losses[0] and all(map(math.isfinite, losses))
    return (losses[-1] if calm else None), len(losses)
