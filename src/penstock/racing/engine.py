"""The course of a race: every start, seed and learning rate, in tasks that end in a journal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from statistics import median

from penstock.racing.arm import Arm, Course, Rung, Task, Trained
from penstock.racing.dispatch import Done, by_executor, here, make_pool, spawned
from penstock.racing.grid import WIDENINGS, Halving, Side, edges, wider
from penstock.racing.journal import Journal
from penstock.racing.scores import area, measured_ceiling
from penstock.racing.workers import Pool

TOGETHER = 20
"""Arms that are trained together: more are no faster an arm, and few large tasks leave workers idle at the end."""

MOST_NUMBERS = 2**25
"""Arms together have at most so many parameters: with gradients and Adam's two moments that is 512 MiB."""

WORTH_PROCESSES = 20_000
"""Steps of single arms from which on loading the framework in other processes pays."""

Told = Callable[[str], None]
Watch = Callable[[Trained], None]


@dataclass(frozen=True)
class Field:
    """What is raced against what.

    Attributes:
        course: what all arms share.
        optimizer: of every arm.
        rates: the first grid.
        growing: whether the grid may grow.
        seeds: of the race.
        halving: how a small budget is spent; None to run everything to the end.
        together: arms that are trained together.
    """

    course: Course
    optimizer: str
    rates: tuple[float, ...]
    growing: bool
    seeds: tuple[int, ...]
    halving: Halving | None
    together: int

    def arms(self, rates: Iterable[float], seeds: Iterable[int]) -> list[Arm]:
        """Every start with these rates and seeds, one seed after the other."""
        rates = tuple(rates)
        starts = [start.name for start in self.course.starts]
        return [Arm(start, seed, self.optimizer, rate) for seed in seeds for start in starts for rate in rates]


def together(parameters: int) -> int:
    """How many arms of a model with so many parameters are trained together."""
    return max(1, min(TOGETHER, MOST_NUMBERS // max(parameters, 1)))


def tasks_of(arms: Sequence[Arm], size: int, rungs: tuple[Rung, ...] = ()) -> list[Task]:
    """Arms in tasks: of one seed each, whole starts where they fit, and never more than `size` arms.

    Where there are rungs, a start's rates stay together, since they are compared on the way.
    """
    tasks: list[Task] = []
    for seed in dict.fromkeys(arm.seed for arm in arms):
        group: list[Arm] = []
        for start in dict.fromkeys(arm.start for arm in arms if arm.seed == seed):
            own = [arm for arm in arms if arm.seed == seed and arm.start == start]
            parts = [own] if rungs else [own[i : i + size] for i in range(0, len(own), size)]
            for part in parts:
                if group and len(group) + len(part) > size:
                    tasks.append(Task(tuple(group), rungs))
                    group = []
                group += part
        if group:
            tasks.append(Task(tuple(group), rungs))
    return tasks


class Crew:
    """Who trains: this process, spawned ones, or an executor of the user's."""

    def __init__(self, executor: Executor | None, workers: int | None, timeout: float | None, told: Told) -> None:
        """Nothing is started before there is work.

        Args:
            executor: of the user's; None for this process or spawned ones.
            workers: spawned processes; None to choose by the work there is, 1 for this process.
            timeout: seconds for a task; None for no limit.
            told: is given sentences about how the work is done.
        """
        self._executor, self._workers, self._timeout, self._told = executor, workers, timeout, told
        self._pool: Pool | None = None
        self._alone = False

    def run(self, course: Course, tasks: Sequence[Task]) -> Iterator[Done]:
        """Train these tasks."""
        if self._executor is not None:
            return by_executor(course, tasks, self._executor, timeout=self._timeout)
        workers = self._count(course, tasks)
        if self._alone or (workers <= 1 and self._timeout is None and self._pool is None):
            return here(course, tasks)
        if self._pool is None:
            try:
                self._pool = make_pool(course, max(workers, 1), timeout=self._timeout)
            except Exception as error:  # pickle raises what it likes
                self._alone = True
                self._told(f"Trained in this process: the race cannot be sent to another one ({error}).")
                return here(course, tasks)
        return spawned(course, tasks, self._pool, self._told)

    def close(self) -> None:
        """End the processes that were begun."""
        if self._pool is not None:
            self._pool.close()

    def _count(self, course: Course, tasks: Sequence[Task]) -> int:
        if self._workers is not None:
            return self._workers
        steps = course.steps * sum(len(task.arms) for task in tasks)
        return 1 if steps < WORTH_PROCESSES else cores()


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(race: Field, crew: Crew, journal: Journal, watch: Watch) -> tuple[tuple[float, ...], list[Arm]]:
    """Train everything that the journal does not have yet.

    Returns:
        The grid of learning rates as it became, and all arms in their fixed order.
    """
    every: list[Arm] = []

    def train(arms: list[Arm], rungs: tuple[Rung, ...] = ()) -> None:
        every.extend(arms)
        missing = [t for t in tasks_of(arms, race.together, rungs) if any(a not in journal.arms for a in t.arms)]
        if not missing:
            return
        for done in crew.run(race.course, missing):
            journal.add(done.trained, done.spent)
            for trained in done.trained:
                watch(trained)

    tuning = race.seeds if race.halving is None else race.seeds[:1]
    train(race.arms(race.rates, tuning), () if race.halving is None else race.halving.rungs)
    rates = _widen(race, journal.arms, tuning, train) if race.growing else race.rates
    if race.halving is not None:
        best = _best_rates(race, journal.arms, rates, race.seeds[0], race.halving.keep)
        for seed in race.seeds[1:]:
            train([arm for arm in race.arms(rates, (seed,)) if arm.rate in best[arm.start]])
    return rates, every


def ceiling(course: Course, arms: Mapping[Arm, Trained]) -> float:
    """Loss of a model that knows nothing: from the data, or from the first batches of the arms."""
    return course.data.ceiling if course.data.ceiling is not None else measured_ceiling(arms.values())


def _widen(
    race: Field, arms: Mapping[Arm, Trained], seeds: Sequence[int], train: Callable[[list[Arm]], None]
) -> tuple[float, ...]:
    """Let the grid grow, for every start alike, as long as some start's best rate is at its edge."""
    rates = race.rates
    every: tuple[Side, ...] = ("low", "high")
    room: dict[Side, int] = {"low": WIDENINGS, "high": WIDENINGS}
    while len(rates) > 1:
        top = ceiling(race.course, arms)
        areas = {
            (start.name, rate): median(
                area(arms[Arm(start.name, seed, race.optimizer, rate)], race.course.steps, top) for seed in seeds
            )
            for start in race.course.starts
            for rate in rates
        }
        wanted = edges(areas, rates, ceiling=top)
        lowest = [
            [arms[Arm(start.name, seed, race.optimizer, rates[0])] for seed in seeds] for start in race.course.starts
        ]
        if any(all(trained.outcome == "diverged" for trained in own) for own in lowest):
            wanted.add("low")
        sides: list[Side] = [side for side in every if side in wanted and room[side] > 0]
        if not sides:
            break
        fresh = []
        for side in sides:
            room[side] -= 1
            fresh.append(wider(rates, side))
        train(race.arms(sorted(fresh), seeds))
        rates = tuple(sorted({*rates, *fresh}))
    return rates


def _best_rates(
    race: Field, arms: Mapping[Arm, Trained], rates: Sequence[float], seed: int, keep: int
) -> dict[str, set[float]]:
    """Each start's best rates on one seed, as many for every start."""
    top = ceiling(race.course, arms)
    best = {}
    for start in race.course.starts:
        scored = sorted(
            (area(arms[Arm(start.name, seed, race.optimizer, rate)], race.course.steps, top), rate) for rate in rates
        )
        best[start.name] = {rate for _, rate in scored[:keep]}
    return best
