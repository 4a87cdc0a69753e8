"""A first look at a race: does the factory make new models, do they take the data, can the loss be differentiated?"""

from __future__ import annotations

from dataclasses import replace

from penstock.errors import ArgumentError, message
from penstock.racing.arm import Arm, Course, Survey, Task
from penstock.racing.start import Start
from penstock.torch.racing.build import new_model
from penstock.torch.racing.seeds import alone
from penstock.torch.racing.train import train_arms


def survey_race(course: Course) -> Survey:
    """See `penstock.frameworks.Adapter.survey_race`."""
    with alone():
        try:
            model, other = new_model(course, 0), new_model(course, 0)
        except ArgumentError:
            raise
        except Exception as error:
            raise ArgumentError(
                message(
                    "race: factory must be a function without arguments that makes a new model; it raised "
                    f"{type(error).__name__}: {error}",
                    hint="penstock.race(lambda: Net(width=64), starts, data, steps=300)",
                )
            ) from error
        if model is other:
            raise ArgumentError(
                message(
                    "race: factory must make a new model at each call; it returned the same object twice.",
                    because="each arm begins with a model of its own, and a start changes it in place",
                    hint="penstock.race(lambda: copy.deepcopy(model), starts, data, steps=300)",
                )
            )
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        if trained == 0:
            raise ArgumentError("race: factory must make a model with parameters that require a gradient; it has none.")
        default = Start("default", "peer", "default")
        trial = replace(course, starts=(default,), steps=1, looks=(1,) if course.looks else ())
        (arm,), _ = train_arms(trial, Task((Arm("default", 0, "sgd", 1e-12),)))
    if arm.outcome == "failed":
        raise ArgumentError(
            message(
                f"race: data must fit the model that factory makes{'' if course.loss is None else ', and the loss'}; "
                f"the first step raised {arm.message}",
                hint="call loss(factory()(inputs), targets).backward() alone first",
            )
        )
    return Survey(type(model).__name__, trained)
