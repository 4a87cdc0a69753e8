"""From trained arms to standings and comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from statistics import fmean, median

from penstock.racing.arm import Spent, Trained
from penstock.racing.result import Comparison, RaceResult, Settings, Standing
from penstock.racing.scores import area, final_loss, final_score, own_target, steps_to, window
from penstock.racing.uncertainty import holm, mean_interval, median_interval, paired_interval, paired_p, rank_range


def judge(
    settings: Settings, arms: Sequence[Trained], notes: Sequence[str] = (), spent: Sequence[Spent] = ()
) -> RaceResult:
    """Put what was trained into an order, with its uncertainty.

    Args:
        settings: of the race; where its target is the race's own, it is chosen here.
        arms: in their fixed order.
        notes: told on the way.
        spent: how long tasks took.
    """
    rates = {start: _best_rate(settings, arms, start) for start in settings.starts}
    best = {start: _at(arms, start, rate) for start, rate in rates.items()}
    if settings.own_target:
        settings = _with_target(settings, best)
    # Starts are compared on the seeds that all of them ran: a seed that one lost is no evidence for another.
    ran = [{t.arm.seed for t in own} for own in best.values() if own]
    shared = set.intersection(*ran) if ran else set()
    best = {start: [t for t in own if t.arm.seed in shared] for start, own in best.items()}
    areas = {s: [area(t, settings.steps, settings.ceiling) for t in best[s]] for s in settings.starts if best[s]}
    order = sorted(areas, key=lambda s: fmean(areas[s]))
    comparisons = _compared(settings, order, areas, best)
    beaten = [(c.first, c.second) for c in comparisons if c.significant]
    order += [start for start in settings.starts if start not in areas]
    standings = [
        _standing(
            settings, arms, start, rates[start], best[start], (place, *rank_range(start, beaten, len(order))), spent
        )
        for place, start in enumerate(order, start=1)
    ]
    return RaceResult(
        settings=settings,
        standings=tuple(standings),
        comparisons=comparisons,
        arms=tuple(arms),
        notes=tuple(notes),
        spent=tuple(spent),
    )


def _best_rate(settings: Settings, arms: Sequence[Trained], start: str) -> float | None:
    """The rate with the lowest median area, of those that most seeds ran to the end."""
    tried = {}
    for rate in settings.rates:
        own = [t for t in _at(arms, start, rate) if t.complete]
        if own:
            tried[rate] = (-len(own), median(area(t, settings.steps, settings.ceiling) for t in own))
    return min(tried, key=lambda rate: (*tried[rate], rate)) if tried else None


def _at(arms: Sequence[Trained], start: str, rate: float | None) -> list[Trained]:
    """A start's arms at one rate, those that tell something, in the order of their seeds."""
    return sorted((t for t in arms if t.arm.start == start and t.arm.rate == rate and t.complete), key=lambda t: t.arm)


def _with_target(settings: Settings, best: dict[str, list[Trained]]) -> Settings:
    finals = [median(final_loss(t, settings.steps) for t in own) for own in best.values() if own]
    return replace(settings, target=own_target(settings.ceiling, min(finals, default=math.inf)))


def _standing(
    settings: Settings,
    arms: Sequence[Trained],
    start: str,
    rate: float | None,
    best: Sequence[Trained],
    ranks: tuple[int, int, int],
    spent: Sequence[Spent],
) -> Standing:
    areas = [area(t, settings.steps, settings.ceiling) for t in best]
    steps = _steps(settings, best)
    finals = [final_loss(t, settings.steps) for t in best]
    scores = [score for t in best if (score := final_score(t)) is not None]
    start_seconds, step_seconds = _seconds(start, spent)
    reached = None if steps is None else median_interval(steps) if steps else None
    return Standing(
        start=start,
        rate=rate,
        at_edge=rate is not None and len(settings.rates) > 1 and rate in {settings.rates[0], settings.rates[-1]},
        area=mean_interval(areas),
        rank=ranks[0],
        rank_low=ranks[1],
        rank_high=ranks[2],
        steps_to_target=reached,
        reached=sum(math.isfinite(s) for s in steps or ()),
        final_loss=mean_interval(finals) if finals and all(map(math.isfinite, finals)) else None,
        score=mean_interval(scores) if scores and len(scores) == len(best) else None,
        diverged=sum(t.outcome == "diverged" for t in best),
        seeds=len(best),
        good_rates=_good_rates(settings, arms, start),
        start_seconds=start_seconds,
        seconds_to_target=None
        if reached is None or not math.isfinite(reached.value) or start_seconds is None or step_seconds is None
        else start_seconds + reached.value * step_seconds,
    )


def _steps(settings: Settings, arms: Sequence[Trained]) -> list[float] | None:
    if settings.target is None:
        return None
    width = window(settings.steps)
    return [steps_to(t.losses, settings.target, width) for t in arms]


def _good_rates(settings: Settings, arms: Sequence[Trained], start: str) -> tuple[int, int]:
    """At how many rates the median seed gets to the target, and how many rates were tried to the end."""
    tried = [own for rate in settings.rates if (own := _at(arms, start, rate))]
    good = [own for own in tried if (steps := _steps(settings, own)) and math.isfinite(median_interval(steps).value)]
    return len(good), len(tried)


def _seconds(start: str, spent: Sequence[Spent]) -> tuple[float | None, float | None]:
    """Seconds of making a start, and of one step of one arm, which is the same for every start."""
    made = [s.starts[start] for s in spent if start in s.starts]
    steps = sum(s.arm_steps for s in spent)
    return (fmean(made) if made else None, sum(s.training for s in spent) / steps if steps else None)


def _compared(
    settings: Settings, order: Sequence[str], areas: dict[str, list[float]], best: dict[str, list[Trained]]
) -> tuple[Comparison, ...]:
    """Every pair, the better one first."""
    pairs = list(combinations(order, 2))
    corrected = holm([paired_p(areas[a], areas[b]) for a, b in pairs])
    made = []
    for (first, second), p in zip(pairs, corrected, strict=True):
        difference = paired_interval(areas[first], areas[second])
        made.append(Comparison(first, second, difference, p, _ratio(settings, best[first], best[second])))
    return tuple(made)


def _ratio(settings: Settings, first: Sequence[Trained], second: Sequence[Trained]) -> float | None:
    ahead, behind = _steps(settings, first), _steps(settings, second)
    if not ahead or not behind or not all(map(math.isfinite, [*ahead, *behind])):
        return None
    return median(b / a for a, b in zip(ahead, behind, strict=True))
