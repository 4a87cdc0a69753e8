"""From a loss curve to numbers that can be compared, also where the curve breaks off."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

import numpy as np

from penstock.racing.arm import Trained
from penstock.racing.data import Array, Kind

WINDOW_SHARE = 20
"""Losses are averaged over the last steps // 20 batches before they are read: one batch's loss is noise."""

LEARNT = 0.98
"""An area above this share of the ceiling is that of an arm that has learnt nothing."""


def score_of(kind: Kind, total: float, targets: Array) -> float:
    """Share of right answers; or R^2 = 1 - square error / variance, at most 1 and without a lower bound.

    Args:
        kind: of the targets.
        total: right answers, or the square error, summed over all rows.
        targets: of all rows.
    """
    if kind == "classes":
        return total / targets.size
    around = float(np.square(targets.astype(np.float64) - targets.mean(axis=0, dtype=np.float64)).sum())
    return 1.0 - total / around if around > 0.0 else float("nan")


def window(steps: int) -> int:
    """Over how many of the last losses a mean is taken."""
    return max(1, steps // WINDOW_SHARE)


def smoothed(losses: Sequence[float], width: int) -> list[float]:
    """Mean of the last `width` losses at each step; of as many as there are, at the beginning.

    Examples:
        >>> smoothed([4.0, 2.0, 0.0], 2)
        [4.0, 3.0, 1.0]
    """
    means = []
    total = 0.0
    for index, loss in enumerate(losses):
        total += loss
        if index >= width:
            total -= losses[index - width]
        means.append(total / min(index + 1, width))
    return means


def steps_to(losses: Sequence[float], target: float, width: int) -> float:
    """Steps until the smoothed loss is at the target; infinite if it never is.

    Examples:
        >>> steps_to([4.0, 2.0, 0.0], 3.0, 2)
        2.0
    """
    for index, mean in enumerate(smoothed(losses, width)):
        if mean <= target:
            return float(index + 1)
    return math.inf


def area(trained: Trained, steps: int, ceiling: float) -> float:
    """Mean loss over the race, where a loss above the ceiling counts as the ceiling, and so does every step not made.

    So an arm that diverges has an area, worse the sooner it does, and none is worse than one that learns nothing.
    """
    clipped = [min(loss, ceiling) for loss in trained.losses[:steps]]
    return (math.fsum(clipped) + ceiling * (steps - len(clipped))) / steps


def final_loss(trained: Trained, steps: int) -> float:
    """Mean of the last losses; infinite for an arm that did not get there."""
    if trained.outcome not in {"finished", "reached"} or not trained.losses:
        return math.inf
    return statistics.fmean(trained.losses[-window(steps) :])


def final_score(trained: Trained) -> float | None:
    """Score on the held-out data at the last look; of an arm that diverged, none."""
    if trained.outcome == "diverged" or not trained.evaluations:
        return None
    return trained.evaluations[-1].score


def measured_ceiling(trained: Iterable[Trained]) -> float:
    """Where nothing is known of the loss: the median over the arms of the first batch's loss, which nobody learnt."""
    first = [t.losses[0] for t in trained if t.losses]
    return statistics.median(first) if first else math.nan


def own_target(ceiling: float, best: float) -> float | None:
    """The target that a race has of its own: a tenth of the loss of knowing nothing.

    Where no start gets so far, halfway on a log scale from knowing nothing to the best end; on a plain scale where
    losses may be negative. None where nobody learnt.

    Examples:
        >>> own_target(2.0, 0.01), own_target(2.0, 0.5)
        (0.2, 1.0)
    """
    if not math.isfinite(best) or not math.isfinite(ceiling) or best >= LEARNT * ceiling:
        return None
    if best <= 0.0 or ceiling <= 0.0:
        return float(f"{(ceiling + best) / 2:.3g}")
    return float(f"{max(0.1 * ceiling, math.sqrt(ceiling * best)):.3g}")
