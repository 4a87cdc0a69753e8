"""Train the arms of one task of Keras models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from penstock.keras.racing.backend import Loss, racer
from penstock.keras.racing.build import build, new_model, objective_of
from penstock.racing.arm import Arm, Course, Spent, Task, Trained
from penstock.racing.run import Built, Run, rate_of, train_task


def train_arms(course: Course, task: Task) -> tuple[tuple[Trained, ...], Spent]:
    """See `penstock.frameworks.Adapter.train_arms`."""
    with racer().alone():
        loss = objective_of(course, new_model(course, task.seed), task.seed)
        built = {name: build(course, course.start(name), task.seed, loss) for name in task.starts}
        way = partial(_train, course, task, built, loss)
        together = [partial(way, mode) for mode in racer().MODES]
        return train_task(task, built, together, partial(way, "alone"))


def _train(
    course: Course, task: Task, built: Mapping[str, Built], loss: Loss, mode: str, arms: Sequence[Arm]
) -> dict[Arm, Trained]:
    """The arms of each optimizer together."""
    found: dict[Arm, Trained] = {}
    for optimizer in dict.fromkeys(arm.optimizer for arm in arms):
        rates = {arm: rate_of(arm, built) for arm in arms if arm.optimizer == optimizer}
        models = [built[arm.start].model for arm in rates]
        # Arms of one seed have one sequence of random numbers: the same noise for every start and rate.
        with racer().seeded(task.seed, "noise"):
            stack = racer().stack_of(models, rates, loss=loss, kind=course.data.kind, mode=mode)
            found |= Run(course, task, rates, stack, racer().take).train()
    return found
