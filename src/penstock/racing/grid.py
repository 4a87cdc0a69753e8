"""Learning rates: the grid that every start is tried on, when it grows, and which arms a small budget gives up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from penstock.errors import ArgumentError, closest, message
from penstock.racing.arm import Rung
from penstock.racing.scores import LEARNT

GRIDS: dict[str, tuple[float, ...]] = {
    "adam": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "adamw": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "sgd": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
}
"""Optimizer -> the grid that a sweep begins with: half decades around the rate that its users try first."""

WIDENINGS = 3
"""A sweep grows by at most so many rates on each side: a start that wants yet another is told to be at the edge."""

Side = Literal["low", "high"]


def check_optimizer(name: str) -> str:
    """The optimizer's name.

    Raises:
        ArgumentError: if it is not known.
    """
    if name not in GRIDS:
        raise ArgumentError(f"race: optimizer must be a known one; got {name!r}. {closest(str(name), GRIDS)}")
    return name


def read_rates(learning_rates: str | float | Sequence[float], optimizer: str) -> tuple[tuple[float, ...], bool]:
    """The rates to begin with, in rising order, and whether the grid may grow.

    Raises:
        ArgumentError: if they are neither "sweep" nor positive numbers.

    Examples:
        >>> read_rates([1e-2, 1e-3], "adam")
        ((0.001, 0.01), False)
    """
    if isinstance(learning_rates, str):
        if learning_rates == "sweep":
            return GRIDS[optimizer], True
        raise ArgumentError(
            message(
                f'race: learning_rates must be "sweep", a number or several; got {learning_rates!r}.',
                hint="penstock.race(factory, starts, data, steps=300, learning_rates=[1e-3, 1e-2])",
            )
        )
    try:
        rates = [
            float(rate) for rate in ([learning_rates] if isinstance(learning_rates, int | float) else learning_rates)
        ]
    except (TypeError, ValueError):
        rates = []
    if not rates or not all(math.isfinite(rate) and rate > 0.0 for rate in rates):
        raise ArgumentError(
            message(
                f'race: learning_rates must be "sweep", a positive number or several; got {learning_rates!r}.',
                hint="penstock.race(factory, starts, data, steps=300, learning_rates=[1e-3, 1e-2])",
            )
        )
    return tuple(sorted(set(rates))), False


def wider(rates: Sequence[float], side: Side) -> float:
    """The next rate beyond one end of a log grid, to two significant digits."""
    near, next_ = (rates[0], rates[1]) if side == "low" else (rates[-1], rates[-2])
    # The spacing of a grid of half decades alternates between 3 and 10/3; two steps back it repeats.
    step = near / next_
    if len(rates) > 2:
        third = rates[2] if side == "low" else rates[-3]
        step = next_ / third
    return float(f"{near * step:.1e}")


def edges(areas: Mapping[tuple[str, float], float], rates: Sequence[float], *, ceiling: float) -> set[Side]:
    """The sides at which some start has its best rate, so that a better one may lie beyond.

    Args:
        areas: (start, rate) -> area under the clipped loss curve; the ceiling where it diverged.
        rates: the grid so far.
        ceiling: area of a start that learns nothing.
    """
    found: set[Side] = set()
    for start in dict.fromkeys(start for start, _ in areas):
        own = [areas[start, rate] for rate in rates]
        best = min(range(len(rates)), key=own.__getitem__)
        if own[best] >= LEARNT * ceiling:
            continue
        if best == 0:
            found.add("low")
        if best == len(rates) - 1:
            found.add("high")
    return found


@dataclass(frozen=True, slots=True)
class Halving:
    """How a small budget is spent.

    Attributes:
        rungs: where the first seed's hopeless rates end.
        keep: how many rates of each start the other seeds run.
        share: of the full race's steps, what this comes to.
    """

    rungs: tuple[Rung, ...]
    keep: int
    share: float


def halving(*, rates: int, seeds: int, steps: int, budget: float) -> Halving:
    """The successive halving that fits a budget: the first seed tries every rate, the others its best ones.

    On the first seed half of each start's rates end after a quarter of the steps, and half of the rest after half of
    them; every start keeps as many as every other, so budgets stay equal.

    Args:
        rates: of the grid.
        seeds: of the race.
        steps: of a full arm.
        budget: share of the full race's steps that may be spent.

    Raises:
        ArgumentError: if the budget is no share, or smaller than the smallest possible.

    Examples:
        >>> halving(rates=5, seeds=5, steps=400, budget=0.5).keep
        2
    """
    if not isinstance(budget, int | float) or not 0.0 < budget <= 1.0:
        raise ArgumentError(f"race: budget must be a share of the full race, above 0 and up to 1; got {budget!r}.")
    quarter, half = max(steps // 4, 1), max(steps // 2, 1)
    share = 1.0
    for keep in range(rates, 0, -1):
        first, second = max((rates + 1) // 2, keep), max((rates + 3) // 4, keep)
        tried = rates * quarter + first * (half - quarter) + second * (steps - half)
        share = (tried + (seeds - 1) * keep * steps) / (rates * seeds * steps)
        if share <= budget:
            return Halving((Rung(quarter, first), Rung(half, second)), keep, share)
    raise ArgumentError(
        message(
            f"race: budget must be at least {share:.2f} with {rates} learning rates and {seeds} seeds; got {budget:g}.",
            hint="fewer learning rates or seeds, or a larger budget",
        )
    )
