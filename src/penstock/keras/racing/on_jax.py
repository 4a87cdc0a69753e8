"""Arms of a Keras model on the JAX backend: what the racer of JAX models trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from penstock.jax.racing.build import planned
from penstock.jax.racing.objective import loss_of
from penstock.jax.racing.stack import Stack, as_arrays
from penstock.jax.racing.trainee import Trainee
from penstock.keras.models import call_of
from penstock.keras.on_jax import batch_of, target_of
from penstock.keras.racing.backend import Loss
from penstock.keras.racing.parts import parts_of
from penstock.planning.plan import Plan
from penstock.racing.arm import Arm
from penstock.racing.data import Batch, Kind
from penstock.racing.seeds import ALONE, seeded

__all__ = ["MODES", "alone", "calibrated", "loss_of", "seeded", "stack_of", "take"]

MODES = ("mapped",)


def alone() -> Any:
    """One task at a time in this process."""
    return ALONE


def take(batch: Batch) -> Batch:
    """Real numbers in Keras's own type, whole ones in JAX's."""
    return as_arrays(batch, np.dtype(keras.config.floatx()))


def calibrated(plan: Plan, model: keras.layers.Layer, inputs: Any, seed: int) -> None:
    """Draw a plan that asks for calibration, and correct it on inputs."""
    planned(plan, target_of(model, "race"), batch_of(call_of(model, inputs)), seed)


def stack_of(
    models: Sequence[keras.layers.Layer], arms: Mapping[Arm, float], *, loss: Loss, kind: Kind, mode: str
) -> Stack:
    """The arms mapped over one compiled step."""
    optimizer = next(iter(arms)).optimizer
    return Stack([_trainee(model) for model in models], optimizer, list(arms.values()), loss=loss, kind=kind)


def _trainee(model: keras.layers.Layer) -> Trainee:
    parts = parts_of(model)

    def train(values: Sequence[Any], rest: Sequence[Any], inputs: Any) -> tuple[Any, Sequence[Any]]:
        return parts.run(values, rest, inputs, training=True)

    def evaluate(values: Sequence[Any], rest: Sequence[Any], inputs: Any) -> tuple[Any, Sequence[Any]]:
        return parts.run(values, rest, inputs, training=False)

    values = {name: variable.value for name, variable in zip(parts.names, parts.own, strict=True)}
    return Trainee(values, [variable.value for variable in parts.rest], train, evaluate)
