"""One Keras model from one start: the factory, seeded, and then whatever the start does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras

from penstock.errors import UnsupportedError, message
from penstock.fan_table import Declared
from penstock.keras.models import build as build_model
from penstock.keras.models import call_of, drawn_names, parameters_of
from penstock.keras.racing.backend import Loss, racer, reader
from penstock.keras.racing.objective import keras_order, of_probabilities, probabilities
from penstock.keras.racing.parts import is_seed
from penstock.planning.plan import Plan
from penstock.racing.arm import Course
from penstock.racing.run import Built, told
from penstock.racing.start import PLANNED, Start
from penstock.racing.weights_plan import plan_of_weights, rule_of
from penstock.recipes.recipe import Recipe


def build(course: Course, start: Start, seed: int, loss: Loss) -> Built:
    """A new model with this start; whatever the start raises becomes its message."""
    model = new_model(course, seed)
    noise = [(v, keras.ops.convert_to_numpy(v.value)) for v in model.variables if is_seed(v)]
    began = time.perf_counter()
    try:
        with racer().seeded(seed, "start"):
            _begin(course, start, model, seed, loss)
    except Exception as error:  # a start is user code, or does not fit the model: the other starts go on
        return Built(None, message=told(error))
    for variable, value in noise:  # whatever a start drew from it, the noise of training is that of every start
        variable.assign(value)
    return Built(model, seconds=0.0 if start.value == "default" else time.perf_counter() - began)


def new_model(course: Course, seed: int) -> keras.layers.Layer:
    """What the factory makes, with random numbers from this seed; built from the first batch if it is not.

    Raises:
        UnsupportedError: if that is no Keras model.
    """
    with racer().seeded(seed, "factory"):
        model = course.factory()
        if not isinstance(model, keras.layers.Layer):
            raise UnsupportedError(
                message(
                    f"race: factory must return a model; got {type(model).__name__}.",
                    hint="a keras.Model, or any Keras layer",
                )
            )
        build_model(model, call_of(model, _inputs(course, seed)))
    return model


def objective_of(course: Course, model: keras.layers.Layer, seed: int) -> Loss:
    """The loss of a race, for what a model of its factory gives: the loss of one that ends in a softmax knows that."""
    own = None if course.loss is None else keras_order(course.loss)
    loss = racer().loss_of(course.data.kind, own)
    if own is None and course.data.kind == "classes" and probabilities(model, _inputs(course, seed)):
        return of_probabilities(loss)
    return loss


def _inputs(course: Course, seed: int) -> Any:
    return racer().take(course.data.first(seed))[0]


def _begin(course: Course, start: Start, model: keras.layers.Layer, seed: int, loss: Loss) -> None:
    if start.kind == "function":
        start.value(model)
    elif start.kind == "recipe":
        _draw(model, lambda name, declared: start.value, seed)
    elif start.kind == "plan":
        plan = renamed(start.value, model)
        if any(entry.calibration is not None for entry in plan.entries):
            racer().calibrated(plan, model, _inputs(course, seed), seed)
        else:
            reader().apply(plan, reader().target_of(model, "race"), seed=seed)
    elif start.kind == "named" or start.value in PLANNED:
        name: str = start.value
        recipe = PLANNED.get(name, name)
        _initialize(course, recipe, model, seed, loss)
    elif start.value != "default":
        target = reader().target_of(model, "race")
        batch = reader().batch_of(call_of(model, _inputs(course, seed)))
        _draw(model, rule_of(start.value, lambda: reader().check(target, batch).measured), seed)


def _initialize(course: Course, recipe: str, model: keras.layers.Layer, seed: int, loss: Loss) -> None:
    """`penstock.initialize` on the first batch, with the race's loss."""
    inputs, targets = racer().take(course.data.first(seed))
    target, batch = reader().target_of(model, "race"), reader().batch_of(call_of(model, inputs))
    names = drawn_names(model, parameters_of(model))
    reader().initialize(target, batch, loss=lambda output: loss(output, targets), seed=seed, recipe=recipe, names=names)


def _draw(model: keras.layers.Layer, recipe: Callable[[str, Declared], Recipe], seed: int) -> None:
    """A recipe in every weight that is trained, zeros in every bias."""
    known = parameters_of(model)
    names = drawn_names(model, known)
    plan = plan_of_weights(type(model).__name__, {name: one.declared for name, one in known.items()}, recipe)
    entries = tuple(
        replace(e, recipe=None if known[e.name].frozen else e.recipe, drawn_as=names.get(e.name, ""))
        for e in plan.entries
    )
    reader().apply(replace(plan, entries=entries), reader().target_of(model, "race"), seed=seed)


def renamed(plan: Plan, model: keras.layers.Layer) -> Plan:
    """The plan for a model whose layers Keras may have numbered anew, as it does with each one it makes."""
    names = list(parameters_of(model))
    if {entry.name for entry in plan.entries} == set(names):
        return plan
    drawn = drawn_names(model, names)
    here = {drawn.get(name, name): name for name in names}
    new = {entry.name: here.get(entry.key_name, entry.name) for entry in plan.entries}
    entries = []
    for entry in plan.entries:
        calibration = entry.calibration
        if calibration is not None:
            knob, bias = new.get(calibration.knob, calibration.knob), calibration.bias
            calibration = replace(calibration, knob=knob, bias=None if bias is None else new.get(bias, bias))
        entries.append(replace(entry, name=new[entry.name], drawn_as=entry.key_name, calibration=calibration))
    return replace(plan, entries=tuple(entries))
