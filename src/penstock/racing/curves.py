"""The numbers of a race's pictures, as plain data: what Matplotlib draws, and any other page can."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from penstock.racing.arm import Trained
from penstock.racing.journal import finite_or_none
from penstock.racing.result import RaceResult, Settings
from penstock.racing.scores import area, smoothed, window

MOST_POINTS = 200
"""A curve has at most so many points: more than a picture's columns cannot be seen."""


def race_data(result: RaceResult) -> dict[str, Any]:
    """What the pictures of a race show.

    Returns:
        Plain data, null for what is not finite:
        `settings`, `standings`, `comparisons`, `verdict`, `notes` as in `RaceResult.to_dict`;
        `curves`: for each start at its best rate `steps`, and `low`, `middle`, `high`, the quartiles over the seeds of
        the smoothed training loss, where a seed that diverged counts as the ceiling;
        `sensitivity`: for each start the learning `rates`, and of the area over its seeds `low`, `middle`, `high`
        (smallest, median, largest), and `diverged`, the share of its arms;
        `steps_to_target`: for each start the `steps` of each seed, null where the target was not reached.
    """
    plain = result.to_dict()
    kept = {name: plain[name] for name in ("settings", "standings", "comparisons", "verdict", "notes")}
    best = {s.start: _arms(result, s.start, s.rate) for s in result.standings}
    return kept | {
        "curves": {start: _curve(result.settings, arms) for start, arms in best.items() if arms},
        "sensitivity": {s.start: _sensitivity(result, s.start) for s in result.standings},
        "steps_to_target": {start: _steps(result.settings, arms) for start, arms in best.items()},
    }


def _arms(result: RaceResult, start: str, rate: float | None) -> list[Trained]:
    return [t for t in result.arms if t.arm.start == start and t.arm.rate == rate and t.complete]


def _curve(settings: Settings, arms: Sequence[Trained]) -> dict[str, list[Any]]:
    width = window(settings.steps)
    rows = np.full((len(arms), settings.steps), settings.ceiling)
    for row, trained in zip(rows, arms, strict=True):
        losses = smoothed(trained.losses, width)
        row[: len(losses)] = np.minimum(losses, settings.ceiling)
    points = np.unique(np.linspace(0, settings.steps - 1, min(settings.steps, MOST_POINTS)).round().astype(int))
    low, middle, high = np.quantile(rows[:, points], (0.25, 0.5, 0.75), axis=0)
    return {"steps": (points + 1).tolist(), "low": _list(low), "middle": _list(middle), "high": _list(high)}


def _sensitivity(result: RaceResult, start: str) -> dict[str, list[Any]]:
    settings = result.settings
    found: dict[str, list[Any]] = {"rates": [], "low": [], "middle": [], "high": [], "diverged": []}
    for rate in settings.rates:
        arms = _arms(result, start, rate)
        if arms:
            areas = [area(t, settings.steps, settings.ceiling) for t in arms]
            found["rates"].append(rate)
            for name, value in zip(("low", "middle", "high"), np.quantile(areas, (0.0, 0.5, 1.0)), strict=True):
                found[name].append(finite_or_none(float(value)))
            found["diverged"].append(sum(t.outcome == "diverged" for t in arms) / len(arms))
    return found


def _steps(settings: Settings, arms: Sequence[Trained]) -> dict[str, list[float | None]]:
    from penstock.racing.scores import steps_to

    if settings.target is None:
        return {"steps": []}
    steps = [steps_to(t.losses, settings.target, window(settings.steps)) for t in arms]
    return {"steps": [s if math.isfinite(s) else None for s in steps]}


def _list(values: Any) -> list[float | None]:
    return [finite_or_none(float(f"{value:.6g}")) for value in values]
