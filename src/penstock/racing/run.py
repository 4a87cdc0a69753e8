"""The course of the arms of one task, whoever computes their steps: losses, looks, and arms that end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from penstock.racing.arm import Arm, Course, Evaluation, Outcome, Spent, Task, Trained
from penstock.racing.data import Batch
from penstock.racing.scores import window

DIGITS = 7
"""Significant digits that are kept of a loss: float32 has no more."""


Way = Callable[[Sequence[Arm]], dict[Arm, Trained]]
"""Trains arms."""


@dataclass(frozen=True)
class Built:
    """A model at its start.

    Attributes:
        model: the model; None where the start failed.
        rates: learning rates that the start suggests, by optimizer.
        seconds: that the start took, without the factory.
        message: why it failed.
    """

    model: Any
    rates: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    message: str = ""


class Stack(Protocol):
    """Arms that are trained together."""

    def step(self, inputs: Any, targets: Any, *, factor: float = 1.0) -> list[float]:
        """One step of every arm with this share of its rate; each arm's loss before it."""
        ...

    def look(self, inputs: Any, targets: Any) -> list[tuple[float, float | None]]:
        """Loss and score of every arm on held-out data."""
        ...

    def keep(self, arms: Sequence[int]) -> None:
        """Go on with these arms alone."""
        ...


class Run:
    """Arms on their way."""

    def __init__(
        self, course: Course, task: Task, rates: Mapping[Arm, float], stack: Stack, take: Callable[[Batch], Batch]
    ) -> None:
        """Nothing is trained yet.

        Args:
            course: of the race.
            task: whose arms these are.
            rates: the arms in the order in which the stack holds them, with the learning rate of each.
            stack: makes the steps.
            take: a batch of NumPy arrays as the framework's own.
        """
        self._course, self._task, self._rates = course, task, rates
        self._stack, self._take = stack, take
        self._alive = list(rates)
        self._losses: dict[Arm, list[float]] = {arm: [] for arm in rates}
        self._looks: dict[Arm, list[Evaluation]] = {arm: [] for arm in rates}
        self._ended: dict[Arm, Outcome] = {}
        held_out = course.data.held_out() if course.looks else None
        self._held_out = None if held_out is None else take(held_out)

    def train(self) -> dict[Arm, Trained]:
        """All steps of all arms."""
        course = self._course
        rungs = {rung.step: rung.keep for rung in self._task.rungs if rung.step < course.steps}
        for made, batch in enumerate(course.data.batches(self._task.seed, course.steps), start=1):
            factor = min(1.0, made / course.warmup) if course.warmup else 1.0
            self._read(self._stack.step(*self._take(batch), factor=factor))
            if made in course.looks:
                self._drop()
                self._look(made)
            if made in rungs:
                self._halve(rungs[made])
            self._drop()
            if not self._alive:
                break
        return {
            arm: Trained(
                arm, self._ended.get(arm, "finished"), tuple(losses), tuple(self._looks[arm]), self._rates[arm]
            )
            for arm, losses in self._losses.items()
        }

    def _read(self, losses: Sequence[float]) -> None:
        for arm, loss in zip(self._alive, losses, strict=True):
            if math.isfinite(loss) and loss <= self._course.bound:
                self._losses[arm].append(float(f"{loss:.{DIGITS}g}"))
            else:
                self._ended[arm] = "diverged"

    def _look(self, made: int) -> None:
        """Look at the held-out data; an arm whose score is enough is done, and so are its rivals."""
        if self._held_out is None or not self._alive:
            return
        found = self._stack.look(*self._held_out)
        for arm, (loss, score) in zip(self._alive, found, strict=True):
            shown = None if score is None or not math.isfinite(score) else float(f"{score:.{DIGITS}g}")
            self._looks[arm].append(Evaluation(made, float(f"{loss:.{DIGITS}g}"), shown))
            if self._course.enough is not None and shown is not None and shown >= self._course.enough:
                self._ended[arm] = "reached"
        through = {arm.start for arm in self._alive if self._ended.get(arm) == "reached"}
        for arm in self._alive:
            if arm.start in through and arm not in self._ended:
                self._ended[arm] = "stopped"

    def _halve(self, keep: int) -> None:
        """Of each start and optimizer only the best `keep` rates go on, by their last losses."""
        width = window(self._course.steps)
        groups: dict[tuple[str, str], list[Arm]] = {}
        for arm in self._alive:
            if arm not in self._ended:
                groups.setdefault((arm.start, arm.optimizer), []).append(arm)
        for arms in groups.values():
            ranked = sorted(arms, key=lambda a: (sum(self._losses[a][-width:]), self._rates[a]))
            self._ended.update(dict.fromkeys(ranked[keep:], "stopped"))

    def _drop(self) -> None:
        """Go on without the arms that have ended."""
        left = [i for i, arm in enumerate(self._alive) if arm not in self._ended]
        if len(left) < len(self._alive):
            self._alive = [self._alive[i] for i in left]
            if left:
                self._stack.keep(left)


def told(error: Exception) -> str:
    """An error as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def train_task(
    task: Task, built: Mapping[str, Built], together: Sequence[Way], alone: Way
) -> tuple[tuple[Trained, ...], Spent]:
    """The arms of a task from the models that were built for it, and how long they took; see `train_somehow`."""
    began = time.perf_counter()
    found = {arm: failed for arm in task.arms if (failed := _unable(arm, built[arm.start])) is not None}
    found |= train_somehow([arm for arm in task.arms if arm not in found], together, alone)
    trained = tuple(found[arm] for arm in task.arms)
    starts = {name: made.seconds for name, made in built.items() if made.model is not None}
    return trained, Spent(starts, time.perf_counter() - began, sum(len(t.losses) for t in trained))


def rate_of(arm: Arm, built: Mapping[str, Built]) -> float:
    """The arm's learning rate: its own, or the one that its start suggests."""
    return arm.rate if arm.rate is not None else built[arm.start].rates[arm.optimizer]


def suggested(task: Task, start: str) -> frozenset[str]:
    """Optimizers whose rate the start itself must suggest."""
    return frozenset(arm.optimizer for arm in task.arms if arm.start == start and arm.rate is None)


def _unable(arm: Arm, built: Built) -> Trained | None:
    """What to say of an arm that cannot begin."""
    if built.model is None:
        return Trained(arm, "failed", message=built.message)
    if arm.rate is None and arm.optimizer not in built.rates:
        return Trained(arm, "failed", message=f"this start suggests no learning rate for {arm.optimizer}")
    return None


def train_somehow(arms: Sequence[Arm], together: Sequence[Way], alone: Way) -> dict[Arm, Trained]:
    """All arms together, if one of these ways works; else each alone, so that one that raises is the only one to fail.

    Args:
        arms: to train.
        together: how several may be trained; tried in order.
        alone: how one is.
    """
    for way in together if len(arms) > 1 else ():
        try:
            return way(arms)
        except Exception:  # what cannot be mapped, or is too large together, is tried in another way
            continue
    found: dict[Arm, Trained] = {}
    for arm in arms:
        try:
            found |= alone([arm])
        except Exception as error:  # the model, its loss or its memory: this arm fails, the others go on
            found[arm] = Trained(arm, "failed", message=told(error))
    return found
