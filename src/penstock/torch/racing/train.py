"""Train the arms of one task: together where the model can be mapped, one by one where it cannot."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial

from penstock.racing.arm import Arm, Course, Spent, Task, Trained
from penstock.racing.run import Built, Run, rate_of, suggested, train_task
from penstock.torch.racing.batches import as_tensors
from penstock.torch.racing.build import build, reference
from penstock.torch.racing.objective import loss_of
from penstock.torch.racing.seeds import alone, seeded
from penstock.torch.racing.stack import Mode, Stack


def train_arms(course: Course, task: Task) -> tuple[tuple[Trained, ...], Spent]:
    """See `penstock.frameworks.Adapter.train_arms`."""
    with alone(), warnings.catch_warnings():
        # An operation that PyTorch maps by a loop is slow, not wrong; nobody who races can change that.
        warnings.filterwarnings("ignore", message="There is a performance drop")
        built = {
            name: build(course, course.start(name), task.seed, suggest=suggested(task, name)) for name in task.starts
        }
        way = partial(_train, course, task, built)
        return train_task(task, built, [partial(way, "error"), partial(way, "same")], partial(way, "alone"))


def _train(
    course: Course, task: Task, built: Mapping[str, Built], mode: Mode, arms: Sequence[Arm]
) -> dict[Arm, Trained]:
    """Arms together, mapped in this way."""
    # Side by side, arms of one optimizer and rate are updated by one call.
    ordered = sorted(arms, key=lambda arm: (arm.optimizer, rate_of(arm, built)))
    rates = {arm: rate_of(arm, built) for arm in ordered}
    models = [built[arm.start].model for arm in ordered]
    optimizers = [(arm.optimizer, rate) for arm, rate in rates.items()]
    loss, like = loss_of(course.data.kind, course.loss), reference(models[0])
    stack = Stack(models, optimizers, loss=loss, kind=course.data.kind, mode=mode)
    run = Run(course, task, rates, stack, lambda batch: as_tensors(batch, like))
    # Arms of one seed have one sequence of random numbers: the same noise for every start and rate.
    with seeded(task.seed, "noise"):
        return run.train()
