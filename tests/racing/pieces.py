"""What the tests of processes run in them: pieces of work that need no framework, so that processes start fast."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from penstock.racing.arm import Arm, Course, Spent, Task, Trained
from penstock.racing.dispatch import Done, here
from penstock.racing.engine import Field, run
from penstock.racing.journal import Journal
from penstock.racing.named_data import array_data
from penstock.racing.start import parse_starts

COURSE = Course(
    factory=dict,
    starts=parse_starts("default, he, lsuv"),
    data=array_data("rows", np.arange(40.0)[:, None], np.arange(40) % 2),
    loss=None,
    steps=4,
)


def piece(word: str) -> str:
    """Does what the word says."""
    if word == "hang":
        time.sleep(600)
    if word == "die":
        os.kill(os.getpid(), 9)
    if word == "raise":
        raise ValueError("no")
    return word.upper()


def train(task: Task) -> Done:
    """Stands for training: starts may hang or die, and one arm may."""
    for arm in task.arms:
        piece("hang" if arm.start == "hangs" else "die" if arm.start == "dies" or arm.rate == 13.0 else "fine")
    return Done(tuple(ended(arm) for arm in task.arms), Spent())


def ended(arm: Arm) -> Trained:
    """Losses that follow from the arm alone."""
    rate = arm.rate or 0.0
    return Trained(arm, "finished", (1.0, 1.0 / 3.0, 1.0 / (7 + arm.seed), rate), rate=rate)


class Pausing:
    """A crew that trains nothing, with a pause before each task."""

    def __init__(self, pause: float) -> None:
        self._pause = pause

    def run(self, course: Course, tasks: list[Task]):
        def runner(course: Course, task: Task) -> Done:
            time.sleep(self._pause)
            return Done(tuple(ended(arm) for arm in task.arms), Spent({"he": 0.1}, 1.0, 3))

        return here(course, tasks, runner)


def whole_race(path: Path, pause: float = 0.0) -> None:
    """A race of 72 arms in 24 tasks, with a grid that grows."""
    field = Field(COURSE, "adam", (1e-3, 1e-2), True, tuple(range(6)), None, 3)
    journal = Journal(path, {"race": "this one"})
    _, order = run(field, Pausing(pause), journal, lambda trained: None)  # type: ignore[arg-type]  a crew's run is enough
    journal.finish(order)


if __name__ == "__main__":
    whole_race(Path(sys.argv[1]), pause=0.02)
