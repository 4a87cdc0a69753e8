"""A first look at a race: does the factory make new models, do they take the data, can the loss be differentiated?"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from penstock.errors import ArgumentError, PenstockError, message
from penstock.racing.arm import Arm, Course, Spent, Task, Trained
from penstock.racing.run import told
from penstock.racing.start import Start

Train = Callable[[Course, Task], tuple[tuple[Trained, ...], Spent]]


def wants_key(factory: Any) -> bool:
    """Whether a factory must be given a key."""
    # A metaclass may hide what a class wants: nnx's does.
    is_class = isinstance(factory, type)
    try:
        parameters = list(inspect.signature(factory.__init__ if is_class else factory).parameters.values())
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is inspect.Parameter.empty for p in parameters[int(is_class) :]) == 1


def two_models(make: Callable[[int], Any]) -> tuple[Any, Any]:
    """What the factory makes for the seeds 0 and 1.

    Raises:
        ArgumentError: if it raises.
    """
    try:
        return make(0), make(1)
    except PenstockError:
        raise
    except Exception as error:
        raise ArgumentError(
            message(
                f"race: factory must be a function without arguments that makes a new model; it raised {told(error)}",
                hint="penstock.race(lambda: Net(width=64), starts, data, steps=300)",
            )
        ) from error


def refuse_same(model: Any, other: Any) -> None:
    """Models that a start changes in place must not be one object.

    Raises:
        ArgumentError: if they are.
    """
    if model is other:
        raise ArgumentError(
            message(
                "race: factory must make a new model at each call; it returned the same object twice.",
                because="each arm begins with a model of its own, and a start changes it in place",
                hint="penstock.race(lambda: copy.deepcopy(model), starts, data, steps=300)",
            )
        )


def try_step(course: Course, train: Train, *, trial: str) -> None:
    """One step of one arm.

    Args:
        course: of the race.
        train: trains the arms of a task.
        trial: the call that shows alone what is wrong.

    Raises:
        ArgumentError: if the model does not take the data.
    """
    default = Start("default", "peer", "default")
    short = replace(course, starts=(default,), steps=1, looks=(1,) if course.looks else ())
    (arm,), _ = train(short, Task((Arm("default", 0, "sgd", 1e-12),)))
    if arm.outcome == "failed":
        raise ArgumentError(
            message(
                f"race: data must fit the model that factory makes{'' if course.loss is None else ', and the loss'}; "
                f"the first step raised {arm.message}",
                hint=f"call {trial} alone first",
            )
        )
