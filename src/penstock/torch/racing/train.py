"""Train the arms of one task: together where the model can be mapped, one by one where it cannot."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence

from penstock.racing.arm import Arm, Course, Evaluation, Outcome, Spent, Task, Trained
from penstock.racing.scores import window
from penstock.torch.racing.batches import as_tensors
from penstock.torch.racing.build import Built, build, reference
from penstock.torch.racing.objective import loss_of
from penstock.torch.racing.seeds import alone, seeded
from penstock.torch.racing.stack import Mode, Stack

DIGITS = 7
"""Significant digits that are kept of a loss: float32 has no more."""


def train_arms(course: Course, task: Task) -> tuple[tuple[Trained, ...], Spent]:
    """See `penstock.frameworks.Adapter.train_arms`."""
    with alone(), warnings.catch_warnings():
        # An operation that PyTorch maps by a loop is slow, not wrong; nobody who races can change that.
        warnings.filterwarnings("ignore", message="There is a performance drop")
        built = {
            name: build(course, course.start(name), task.seed, suggest=_suggested(task, name)) for name in task.starts
        }
        began = time.perf_counter()
        found = {arm: _unable(arm, built[arm.start]) for arm in task.arms}
        able = [arm for arm in task.arms if found[arm] is None]
        found |= _train(course, able, built, task)
        seconds = time.perf_counter() - began
    trained = tuple(t for arm in task.arms if (t := found[arm]) is not None)
    starts = {name: b.seconds for name, b in built.items() if b.model is not None}
    return trained, Spent(starts, seconds, sum(len(t.losses) for t in trained))


def _suggested(task: Task, start: str) -> frozenset[str]:
    """Optimizers whose rate the start itself must suggest."""
    return frozenset(arm.optimizer for arm in task.arms if arm.start == start and arm.rate is None)


def _unable(arm: Arm, built: Built) -> Trained | None:
    """What to say of an arm that cannot begin."""
    if built.model is None:
        return Trained(arm, "failed", message=built.message)
    if arm.rate is None and arm.optimizer not in built.rates:
        return Trained(arm, "failed", message=f"this start suggests no learning rate for {arm.optimizer}")
    return None


def _train(course: Course, arms: Sequence[Arm], built: Mapping[str, Built], task: Task) -> dict[Arm, Trained | None]:
    """Together if that works; else each arm alone, so that one that raises is the only one to fail."""
    modes: tuple[Mode, ...] = ("error", "same") if len(arms) > 1 else ()
    for mode in modes:
        try:
            return dict(_Run(course, arms, built, task, mode).train())
        except Exception:  # what cannot be mapped, or is too large together, is tried in another way
            continue
    found: dict[Arm, Trained | None] = {}
    for arm in arms:
        try:
            found |= _Run(course, [arm], built, task, "alone").train()
        except Exception as error:  # the model, its loss or its memory: this arm fails, the others go on
            found[arm] = Trained(arm, "failed", message=" ".join(f"{type(error).__name__}: {error}".split()))
    return found


class _Run:
    """Arms on their way."""

    def __init__(self, course: Course, arms: Sequence[Arm], built: Mapping[str, Built], task: Task, mode: Mode) -> None:
        models = [model for arm in arms if (model := built[arm.start].model) is not None]
        self._rates = {a: a.rate if a.rate is not None else built[a.start].rates[a.optimizer] for a in arms}
        self._course, self._task = course, task
        self._stack = Stack(
            models,
            [(arm.optimizer, self._rates[arm]) for arm in arms],
            loss=loss_of(course.data.kind, course.loss),
            kind=course.data.kind,
            mode=mode,
        )
        self._like = reference(models[0])
        self._alive = list(arms)
        self._losses: dict[Arm, list[float]] = {arm: [] for arm in arms}
        self._looks: dict[Arm, list[Evaluation]] = {arm: [] for arm in arms}
        self._ended: dict[Arm, Outcome] = {}
        held_out = course.data.held_out() if course.looks else None
        self._held_out = None if held_out is None else as_tensors(held_out, self._like)

    def train(self) -> dict[Arm, Trained]:
        """All steps of all arms."""
        course = self._course
        rungs = {rung.step: rung.keep for rung in self._task.rungs if rung.step < course.steps}
        # Arms of one seed have one sequence of random numbers: the same noise for every start and rate.
        with seeded(self._task.seed, "noise"):
            for made, batch in enumerate(course.data.batches(self._task.seed, course.steps), start=1):
                factor = min(1.0, made / course.warmup) if course.warmup else 1.0
                self._read(self._stack.step(*as_tensors(batch, self._like), factor=factor))
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
