"""A first look at a race of JAX models."""

from __future__ import annotations

import numpy as np

from penstock.jax.models import target_of
from penstock.jax.racing.build import new_model
from penstock.jax.racing.train import train_arms
from penstock.jax.racing.trainee import trainee_of
from penstock.racing.arm import Course, Survey
from penstock.racing.seeds import ALONE
from penstock.racing.survey import refuse_same, try_step, two_models

SAME_WEIGHTS = (
    "The factory makes the same weights for every seed, so the start 'default' differs by its data alone: let it take "
    "a key (def factory(key): ...)."
)


def survey_race(course: Course) -> Survey:
    """See `penstock.frameworks.Adapter.survey_race`."""
    with ALONE:
        model, other = two_models(lambda seed: new_model(course, seed))
        targets = target_of(model, "race"), target_of(other, "race")
        if targets[0].in_place:
            refuse_same(model, other)
        values, others = ([np.asarray(v) for v in t.parameters.values()] for t in targets)
        try_step(course, train_arms, trial="jax.grad of the loss at factory()'s parameters")
    same = all(np.array_equal(a, b) for a, b in zip(values, others, strict=True))
    notes = ([SAME_WEIGHTS] if same else []) + ([note] if (note := trainee_of(model, key=0).note) else [])
    return Survey(targets[0].name, sum(v.size for v in values), tuple(notes))
