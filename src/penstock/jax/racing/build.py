"""One JAX model from one start: the factory, with a key, and then whatever the start does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import jax
import numpy as np

from penstock.errors import UnsupportedError, message
from penstock.fan_table import Declared, Role
from penstock.geometry import Geometry
from penstock.jax.calibrate import calibrate
from penstock.jax.check import measure
from penstock.jax.initialize import initialize
from penstock.jax.measure.batch import arguments
from penstock.jax.models import Target, target_of
from penstock.jax.parts import is_model, with_parameters
from penstock.jax.racing.objective import loss_of
from penstock.jax.racing.stack import as_arrays
from penstock.jax.racing.trainee import trainee_of
from penstock.jax.trace.tracer import inputs_of, trace
from penstock.jax.write import applied, drawn
from penstock.planning.plan import Plan
from penstock.racing.arm import Course
from penstock.racing.run import Built, told
from penstock.racing.seeds import key_of, seeded
from penstock.racing.start import PLANNED, Start
from penstock.racing.survey import wants_key
from penstock.racing.weights_plan import Rule, plan_of_weights, rule_of


def build(course: Course, start: Start, seed: int) -> Built:
    """A model with this start, as a function of its arrays; whatever the start raises becomes its message."""
    model = new_model(course, seed)
    began = time.perf_counter()
    try:
        with seeded(seed, "start"):
            trainee = trainee_of(_begun(course, start, model, seed), key=key_of(seed, "noise") % 2**31)
    except Exception as error:  # a start is user code, or does not fit the model: the other starts go on
        return Built(None, message=told(error))
    return Built(trainee, seconds=0.0 if start.value == "default" else time.perf_counter() - began)


def new_model(course: Course, seed: int) -> Any:
    """What the factory makes from a key of this seed, with parameters; those that a module still lacks it makes itself.

    Raises:
        UnsupportedError: if that is no model.
    """
    number = key_of(seed, "factory") % 2**31
    with seeded(seed, "factory"):
        factory: Callable[..., Any] = course.factory
        made = factory(jax.random.PRNGKey(number)) if wants_key(factory) else factory()
    if not is_model(made):
        raise UnsupportedError(
            message(
                f"race: factory must return a model; got {type(made).__name__}.",
                hint="a Flax, Haiku or Equinox model, or a pair (apply_fn, params)",
            )
        )
    return with_parameters(made, course.data.first(seed)[0], seed=number)


def real_type(parameters: Mapping[str, Any]) -> np.dtype[Any]:
    """The type that real data should have."""
    return next((v.dtype for v in parameters.values() if v.dtype.kind == "f"), np.dtype(np.float32))


def _begun(course: Course, start: Start, model: Any, seed: int) -> Any:
    """The model at its start; a model that is changed in place, or a new one."""
    batch = as_arrays(course.data.first(seed), real_type(target_of(model, "race").parameters))
    if start.kind == "function":
        changed = start.value(model)
        return model if changed is None else with_parameters(changed, batch[0], seed=seed)
    if start.kind == "recipe":
        return _drawn(model, batch[0], lambda name, declared: start.value, seed)
    if start.kind == "plan":
        return planned(start.value, model, batch[0], seed)
    if start.kind == "named" or start.value in PLANNED:
        loss = loss_of(course.data.kind, course.loss)
        name: str = start.value
        recipe = PLANNED.get(name, name)
        return initialize(model, batch[0], loss=lambda out: loss(out, batch[1]), seed=seed, recipe=recipe).model
    if start.value == "default":
        return model
    return _drawn(model, batch[0], rule_of(start.value, lambda: measure(model, batch[0])), seed)


def _drawn(model: Any, inputs: Any, recipe: Rule, seed: int) -> Any:
    """A recipe in every weight, zeros in every bias."""
    measured = measure(model, inputs)
    # A weight's axes show in the operation that uses it, which names it first.
    shown = {n.parameters[0]: n.geometry for n in measured.graph.nodes if n.kind == "contraction" and n.parameters}
    roles = {
        name: Declared(shown.get(name) or stats.geometry or Geometry(stats.shape), cast("Role", stats.role))
        for name, stats in measured.parameters.items()
    }
    return applied(plan_of_weights(measured.model, roles, recipe), model, seed=seed)[0]


def planned(plan: Plan, model: Any, inputs: Any, seed: int) -> Any:
    """A plan's draws, calibrated on the batch where the plan says so."""
    target, given = target_of(model, "race"), arguments(inputs)
    fresh = drawn(plan, target, seed=seed)
    if all(entry.calibration is None for entry in plan.entries):
        return target.rebuild(list(fresh.values()))
    traced = trace(target, given)
    begun = Target(target.name, fresh, target.state, target.call, target.rebuild)
    corrections = calibrate(traced, plan, inputs_of(begun, given, traced))
    return target.rebuild(list(drawn(plan, target, seed=seed, corrections=corrections).values()))
