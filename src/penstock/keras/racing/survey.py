"""A first look at a race of Keras models."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from penstock.errors import ArgumentError, message
from penstock.keras.models import call_of
from penstock.keras.racing.backend import racer
from penstock.keras.racing.build import new_model
from penstock.keras.racing.objective import output_of, probabilities
from penstock.keras.racing.parts import parts_of
from penstock.keras.racing.train import train_arms
from penstock.racing.arm import Course, Survey
from penstock.racing.survey import refuse_same, try_step, two_models

SAME_WEIGHTS = (
    "The factory makes the same weights for every seed, so the start 'default' differs by its data alone: its "
    "initializers have seeds of their own."
)
PROBABILITIES = "The model gives probabilities: the cross-entropy is taken of them, and not of logits."
PENALTIES = "The model's own penalties (regularizers, add_loss) are left out: starts are compared by the loss alone."


def survey_race(course: Course) -> Survey:
    """See `penstock.frameworks.Adapter.survey_race`."""
    with racer().alone():
        model, other = two_models(lambda seed: new_model(course, seed))
        refuse_same(model, other)
        parts = parts_of(model)
        if not parts.own:
            raise ArgumentError("race: factory must make a model with parameters that are trained; it has none.")
        inputs, _ = racer().take(course.data.first(0))
        if course.loss is None and course.data.kind == "classes":
            _check_width(course, model, inputs)
        try_step(course, train_arms, trial="model(inputs, training=True) and the loss of it")
        notes = tuple(_notes(course, model, other, inputs))
    return Survey(type(model).__name__, sum(math.prod(v.shape) for v in parts.own), notes)


def _notes(course: Course, model: keras.layers.Layer, other: keras.layers.Layer, inputs: Any) -> list[str]:
    """What is to be told of a model, and of the other seed's."""
    notes = []
    if course.loss is None and course.data.kind == "classes" and probabilities(model, inputs):
        notes.append(PROBABILITIES)
    values, others = ([keras.ops.convert_to_numpy(v.value) for v in parts_of(m).own] for m in (model, other))
    if all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(values, others, strict=True)):
        notes.append(SAME_WEIGHTS)
    call = call_of(model, inputs)
    model(*call.args, **call.kwargs, training=True)  # the factory's own, which nobody else has
    return [*notes, PENALTIES] if model.losses else notes


def _check_width(course: Course, model: keras.layers.Layer, inputs: Any) -> None:
    """See that the model has a number for each class.

    Raises:
        ArgumentError: if there are more classes than that.
    """
    output = output_of(model, inputs)
    most = int(np.max(course.data.first(0)[1]))
    if output is not None and (output.ndim < 2 or output.shape[-1] <= most):
        raise ArgumentError(
            message(
                f"race: factory must make a model that gives a number for each class; its output has shape "
                f"{output.shape}, and there is a class {most}.",
                because="whole-number targets are classes",
                hint=f"keras.layers.Dense({most + 1}) at the end, with or without a softmax; or loss=, from (output, "
                "targets) to a scalar",
            )
        )
