"""A first look at a race of PyTorch models."""

from __future__ import annotations

from penstock.errors import ArgumentError
from penstock.racing.arm import Course, Survey
from penstock.racing.survey import refuse_same, try_step, two_models
from penstock.torch.racing.build import new_model
from penstock.torch.racing.seeds import alone
from penstock.torch.racing.train import train_arms


def survey_race(course: Course) -> Survey:
    """See `penstock.frameworks.Adapter.survey_race`."""
    with alone():
        model, other = two_models(lambda seed: new_model(course, seed))
        refuse_same(model, other)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        if trained == 0:
            raise ArgumentError("race: factory must make a model with parameters that require a gradient; it has none.")
        try_step(course, train_arms, trial="loss(factory()(inputs), targets).backward()")
    return Survey(type(model).__name__, trained)
