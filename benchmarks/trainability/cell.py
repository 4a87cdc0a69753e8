"""One cell of the table: a case and a start, every learning rate of both optimizers, three seeds."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cases import all_cases

from penstock.frameworks import adapter_named
from penstock.racing.arm import Arm, Course, Rung, Task, Trained
from penstock.racing.start import parse_starts

STARTS = ("default", "xavier", "he", "orthogonal", "lsuv", "mean_variance", "krahenbuhl", "penstock")

GRIDS = {
    "quick": {"sgd": (1e-4, 1e-3, 1e-2, 1e-1), "adam": (1e-5, 1e-4, 1e-3, 1e-2)},
    "full": {
        "sgd": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
        "adam": (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    },
}
"""Profile -> the learning rates of SGD with momentum 0.9 and of Adam, the same for every start."""

SEEDS = (0, 1, 2)
FINALISTS = 2
"""Rates, of either optimizer, that the other seeds run."""

EARLY = 20
"""Steps after each of which own rates are looked at."""


@dataclass(frozen=True)
class Cell:
    """What is asked.

    Attributes:
        case: name of the case.
        start: name of the start.
        profile: whose learning rates.
        steps: in place of the case's own; None for those.
    """

    case: str
    start: str
    profile: str
    steps: int | None = None

    @property
    def key(self) -> str:
        """The cell's name in the file of results."""
        return " ".join([self.case, self.start, self.profile, *([str(self.steps)] if self.steps else [])])


def run_cell(cell: Cell) -> dict[str, Any]:
    """Train a cell; plain data comes back."""
    case = next(case for case in all_cases() if case.name == cell.case)
    steps = cell.steps or case.steps
    looks = tuple(range(case.every, steps + 1, case.every))
    starts = parse_starts([cell.start])
    course = Course(case.factory, starts, case.data(), None, steps, looks=looks, enough=case.target)
    began = time.process_time()
    by_seed, finalists = swept(course, cell.start, GRIDS[cell.profile], case.target)
    first = by_seed[0]
    found = {
        **summary(by_seed, case.target),
        "optimizer": finalists[0].arm.optimizer,
        "rate": finalists[0].arm.rate,
        "message": next((t.message for t in first if t.outcome == "failed"), ""),
        "lost": sum(t.outcome == "failed" for t in first),
    }
    if cell.start == "penstock":
        found["own"] = {
            optimizer: own_rate(course, cell.start, optimizer, rates, case.target)
            for optimizer, rates in GRIDS[cell.profile].items()
        }
    return {"cell": cell.key, **vars_of(cell), "target": case.target, **found, "cpu": time.process_time() - began}


def swept(
    course: Course, start: str, grid: Mapping[str, Sequence[float]], target: float
) -> tuple[list[tuple[Trained, ...]], list[Trained]]:
    """Every rate on the first seed, the best few on the others: the arms of each seed, and the best."""
    arms = [Arm(start, 0, optimizer, rate) for optimizer, rates in grid.items() for rate in rates]
    count = len(arms) // len(grid)
    # Of each optimizer half of the rates end after a quarter of the steps, and half of the rest after half of them.
    rungs = (Rung(course.steps // 4, math.ceil(count / 2)), Rung(course.steps // 2, math.ceil(count / 4)))
    first = train(course, arms, rungs)
    finalists = sorted(first, key=lambda t: order(t, target))[:FINALISTS]
    others = [train(course, [Arm(start, seed, t.arm.optimizer, t.arm.rate) for t in finalists]) for seed in SEEDS[1:]]
    return [first, *others], finalists


def own_rate(course: Course, start: str, optimizer: str, rates: Sequence[float], target: float) -> dict[str, Any]:
    """The start with the rate that it suggests itself, nothing else tried; and with the best of this optimizer's grid.

    Both are looked at after each of the first steps: where ten are enough, five more or less are not a difference.
    """
    often = replace(course, looks=tuple(sorted({*range(1, EARLY + 1), *course.looks})))
    by_seed = [train(often, [Arm(start, seed, optimizer, None)]) for seed in SEEDS]
    best, _ = swept(often, start, {optimizer: rates}, target)
    return {
        **summary(by_seed, target),
        "best": summary(best, target)["steps"],
        "rates": [None if math.isnan(t.rate) else t.rate for own in by_seed for t in own],
        "diverged": sum(t.outcome == "diverged" for own in by_seed for t in own),
    }


def train(course: Course, arms: Iterable[Arm], rungs: tuple[Rung, ...] = ()) -> tuple[Trained, ...]:
    """The arms of one seed, together."""
    return adapter_named("torch").train_arms(course, Task(tuple(arms), rungs))[0]


def order(trained: Trained, target: float) -> tuple[float, float, float]:
    """Sorts arms: those that reach the target by their steps, then the others by their score and loss."""
    score = best_score(trained)
    return steps_of(trained, target), -score, trained.losses[-1] if trained.losses else math.inf


def steps_of(trained: Trained, target: float) -> float:
    """Steps until the score was enough; infinite if it never was."""
    return next((float(e.step) for e in trained.evaluations if (e.score or 0.0) >= target), math.inf)


def best_score(trained: Trained) -> float:
    """The best score that the arm had."""
    return max((e.score for e in trained.evaluations if e.score is not None), default=-math.inf)


def summary(by_seed: list[tuple[Trained, ...]], target: float) -> dict[str, Any]:
    """Median over the seeds of the steps to the target, and of the score where it is not reached."""
    steps = [min((steps_of(t, target) for t in own), default=math.inf) for own in by_seed]
    scores = [max((best_score(t) for t in own), default=-math.inf) for own in by_seed]
    middle, score = statistics.median(steps), statistics.median(scores)
    return {
        "steps": None if math.isinf(middle) else middle,
        "score": None if math.isinf(score) else score,
        "seeds": [None if math.isinf(s) else s for s in steps],
    }


def vars_of(cell: Cell) -> dict[str, Any]:
    """The cell's own fields."""
    return {"case": cell.case, "start": cell.start, "profile": cell.profile}
