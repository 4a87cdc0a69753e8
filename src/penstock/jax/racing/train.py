"""Train the arms of one task of JAX models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from penstock.jax.racing.build import build, real_type
from penstock.jax.racing.objective import loss_of
from penstock.jax.racing.stack import Stack, as_arrays
from penstock.racing.arm import Arm, Course, Spent, Task, Trained
from penstock.racing.run import Built, Run, rate_of, train_task
from penstock.racing.seeds import ALONE


def train_arms(course: Course, task: Task) -> tuple[tuple[Trained, ...], Spent]:
    """See `penstock.frameworks.Adapter.train_arms`."""
    with ALONE:
        built = {name: build(course, course.start(name), task.seed) for name in task.starts}
        way = partial(_train, course, task, built)
        return train_task(task, built, [way], way)


def _train(course: Course, task: Task, built: Mapping[str, Built], arms: Sequence[Arm]) -> dict[Arm, Trained]:
    """The arms of each optimizer together."""
    found: dict[Arm, Trained] = {}
    for optimizer in dict.fromkeys(arm.optimizer for arm in arms):
        rates = {arm: rate_of(arm, built) for arm in arms if arm.optimizer == optimizer}
        trainees = [built[arm.start].model for arm in rates]
        loss, like = loss_of(course.data.kind, course.loss), real_type(trainees[0].values)
        stack = Stack(trainees, optimizer, list(rates.values()), loss=loss, kind=course.data.kind)
        found |= Run(course, task, rates, stack, lambda batch, like=like: as_arrays(batch, like)).train()
    return found
