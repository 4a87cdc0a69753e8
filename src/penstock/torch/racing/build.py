"""One model from one start: the factory, seeded, and then whatever the start does."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from penstock.errors import ArgumentError, UnsupportedError
from penstock.frameworks import adapter_named
from penstock.racing.arm import Course
from penstock.racing.data import Batch, call_arguments
from penstock.racing.run import Built, told
from penstock.racing.start import Start
from penstock.torch.calibrate import calibrate
from penstock.torch.initialize import initialize
from penstock.torch.racing.batches import as_tensors
from penstock.torch.racing.objective import loss_of
from penstock.torch.racing.peers import draw_recipe, start_peer
from penstock.torch.racing.seeds import seeded


def build(course: Course, start: Start, seed: int, *, suggest: Collection[str] = ()) -> Built:
    """A new model with this start; whatever the start raises becomes its message.

    Args:
        course: of the race.
        start: which.
        seed: of all that is drawn.
        suggest: optimizers for which the start's own learning rate is wanted.
    """
    model = new_model(course, seed)
    began = time.perf_counter()
    try:
        with seeded(seed, "start"):
            rates = _begin(course, start, model, seed, suggest)
    except Exception as error:  # a start is user code, or does not fit the model: the other starts go on
        return Built(None, message=told(error))
    return Built(model, rates, 0.0 if start.value == "default" else time.perf_counter() - began)


def new_model(course: Course, seed: int) -> nn.Module:
    """What the factory makes, with its own random numbers from this seed.

    Raises:
        UnsupportedError: if that is no module.
    """
    with seeded(seed, "factory"):
        model = course.factory()
    # On its PyTorch backend a Keras model is a module too, with a training mode and seeds of its own.
    if not isinstance(model, nn.Module) or ("keras" in sys.modules and adapter_named("keras").is_model(model)):
        raise UnsupportedError(f"race: factory must return a model; got {type(model).__name__}.")
    return model


def first_batch(course: Course, model: nn.Module, seed: int) -> Batch:
    """The first batch of a seed, as tensors for this model."""
    return as_tensors(course.data.first(seed), reference(model))


def reference(model: nn.Module) -> torch.Tensor:
    """A parameter whose device and type data should have."""
    return next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))


def _begin(course: Course, start: Start, model: nn.Module, seed: int, suggest: Collection[str]) -> Mapping[str, float]:
    if start.kind == "recipe":
        draw_recipe(model, start.value, seed)
    elif start.kind == "plan":
        start.value.apply(model, seed=seed)
        if any(entry.calibration is not None for entry in start.value.entries):
            inputs, _ = first_batch(course, model, seed)
            args, kwargs = call_arguments(inputs)
            calibrate(model, start.value, kwargs if kwargs else args)
    elif start.kind == "function":
        start.value(model)
    elif start.kind == "named" or start.value == "penstock":
        recipe = start.value if start.kind == "named" else "auto"
        return _initialized(course, model, seed, recipe, suggest)
    elif start.value != "default":
        start_peer(start.value, model, first_batch(course, model, seed)[0], seed)
    return {}


def _initialized(
    course: Course, model: nn.Module, seed: int, recipe: str, suggest: Collection[str]
) -> Mapping[str, float]:
    """`penstock.initialize` on the first batch, with the race's loss; and the learning rates that it suggests."""
    inputs, targets = first_batch(course, model, seed)
    args, kwargs = call_arguments(inputs)
    loss = loss_of(course.data.kind, course.loss)

    def of_output(output: Any) -> Any:
        return loss(output, targets)

    batch = kwargs if kwargs else args
    done = initialize(model, batch, loss=of_output, seed=seed, recipe=recipe, learning_rate=bool(suggest))
    rates = {}
    for optimizer in suggest:
        with suppress(ArgumentError):  # where none was found, the arms that want it say so
            rates[optimizer] = done.plan.learning_rate.of(optimizer)
    return rates
