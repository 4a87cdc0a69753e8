"""Hand tasks to whoever trains them: this process, spawned ones, or any executor; nothing that ended is ever lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass
from functools import partial
from typing import Protocol, cast

from penstock.frameworks import adapter_named
from penstock.racing.arm import Course, Outcome, Spent, Task, Trained
from penstock.racing.workers import Answer, NoWorkers, Pool


@dataclass(frozen=True, slots=True)
class Done:
    """A task that has ended, one way or another."""

    trained: tuple[Trained, ...]
    spent: Spent


class Runner(Protocol):
    """What trains the arms of a task."""

    def __call__(self, course: Course, task: Task) -> Done:
        """Train them."""
        ...


def train(course: Course, task: Task) -> Done:
    """Train the arms of a task, in the process that this is called in."""
    return Done(*adapter_named(course.framework).train_arms(course, task))


def here(course: Course, tasks: Sequence[Task], runner: Runner = train) -> Iterator[Done]:
    """Train one task after another in this process."""
    for task in tasks:
        try:
            yield runner(course, task)
        except Exception as error:  # a start or a model of the user's may raise anything: the others go on
            yield marked(task, "failed", f"{type(error).__name__}: {error}")


def make_pool(course: Course, workers: int, *, timeout: float | None) -> Pool:
    """Spawned processes that train tasks of a race.

    Raises:
        Exception: whatever pickle says of a race that cannot be sent to another process.
    """
    prepare = partial(adapter_named, course.framework)
    return Pool(partial(train, course), workers, timeout=timeout, prepare=prepare)


def spawned(course: Course, tasks: Sequence[Task], pool: Pool, told: Callable[[str], None]) -> Iterator[Done]:
    """Train tasks in processes of their own. A task whose process hangs or dies is cut up and tried again in parts.

    Args:
        course: of the race.
        tasks: to train.
        pool: of the processes.
        told: is given a sentence if there can be no processes, and this one does the work.
    """
    left = list(tasks)
    answered = False
    while left:
        now, again = tuple(left), list[Task]()
        try:
            for answer in pool.run(now):
                answered = True
                task = now[answer.index]
                left.remove(task)
                done = _read(task, answer)
                parts = split(task, answer.trouble) if done is None else []
                again += parts
                if not parts:
                    yield done or marked(task, cast("Outcome", answer.trouble), answer.message)
        except NoWorkers as error:
            if answered:
                for task in [*left, *again]:
                    yield marked(task, "lost", str(error))
            else:
                told(f"Trained in this process: {error}.")
                yield from here(course, left)
            return
        left = again


def by_executor(course: Course, tasks: Sequence[Task], executor: Executor, *, timeout: float | None) -> Iterator[Done]:
    """Train tasks by an executor of the user's. If it dies, what it did not finish is marked as lost.

    Args:
        course: of the race; goes with every task.
        tasks: to train.
        executor: any `concurrent.futures.Executor`, or what has its `submit`.
        timeout: seconds in which some task must end; an executor of somebody else's cannot be asked what hangs.
    """
    waiting: dict[Future[Done], Task] = {}
    for task in tasks:
        try:
            waiting[executor.submit(train, course, task)] = task
        except Exception as error:  # each kind of executor that is dead has an error of its own
            yield marked(task, "lost", f"the executor took no more work ({type(error).__name__}: {error})")
    while waiting:
        ended, _ = wait(waiting, timeout=timeout, return_when=FIRST_COMPLETED)
        if not ended:
            for future, task in waiting.items():
                future.cancel()
                yield marked(task, "hung", f"no task ended within {timeout:g} s")
            return
        for future in ended:
            yield _outcome(waiting.pop(future), future)


def _outcome(task: Task, future: Future[Done]) -> Done:
    if future.cancelled():
        return marked(task, "lost", "the executor gave it up")
    error = future.exception()
    if error is None:
        return future.result()
    what = f"{type(error).__name__}: {error}"
    # Dask, MPI and Ray have errors of their own for a worker that died; none is an error of the task itself.
    if isinstance(error, BrokenExecutor | ConnectionError) or "Killed" in type(error).__name__:
        return marked(task, "lost", f"the executor died ({what})")
    return marked(task, "failed", what)


def _read(task: Task, answer: Answer) -> Done | None:
    """What a worker gave back; None where it did not get to."""
    if answer.trouble == "raised":
        return marked(task, "failed", answer.message)
    return None if answer.trouble else cast("Done", answer.value)


def split(task: Task, trouble: str) -> list[Task]:
    """Smaller tasks to find the arms that are at fault; none where it cannot be cut, or waiting again would be no use.

    First one a start, then (for arms that killed their process) one an arm. A start that hangs is not tried arm by
    arm: each would take the whole time-out again.
    """
    if len(task.starts) > 1:
        return [Task(tuple(a for a in task.arms if a.start == name), task.rungs) for name in task.starts]
    if trouble == "killed" and len(task.arms) > 1:
        return [Task((arm,), ()) for arm in task.arms]
    return []


def marked(task: Task, outcome: Outcome, text: str) -> Done:
    """Every arm of a task with the same outcome."""
    line = " ".join(text.split())
    return Done(tuple(Trained(arm, outcome, message=line) for arm in task.arms), Spent())
