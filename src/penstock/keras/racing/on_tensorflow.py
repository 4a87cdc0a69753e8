"""Arms of a Keras model on the TensorFlow backend: one compiled step, by which each arm goes in its turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from penstock.keras.models import call_of
from penstock.keras.on_tensorflow import batch_of, target_of
from penstock.keras.racing.backend import Loss
from penstock.keras.racing.parts import Parts, parts_of
from penstock.keras.racing.tensorflow_math import loss_of, score_sum
from penstock.keras.tensorflow.initialize import calibrate
from penstock.keras.tensorflow.tracer import trace
from penstock.planning.drawing import drawn_arrays
from penstock.planning.optimizers import corrections
from penstock.planning.plan import Plan
from penstock.racing.arm import Arm
from penstock.racing.compiled_stack import CompiledStack
from penstock.racing.data import MOST_HELD_OUT, Array, Batch, Kind
from penstock.racing.scores import score_of
from penstock.racing.seeds import ALONE, seeded

__all__ = ["MODES", "alone", "calibrated", "loss_of", "seeded", "stack_of", "take"]

MODES = ("in turn",)


def alone() -> Any:
    """One task at a time in this process."""
    return ALONE


def take(batch: Batch) -> Batch:
    """Tensors: real numbers in Keras's own type, whole ones of 32 bits."""

    def tensor(values: Any) -> Any:
        array = np.asarray(values)
        if np.issubdtype(array.dtype, np.floating):
            return tf.constant(array, keras.config.floatx())
        return tf.constant(array, tf.int32) if np.issubdtype(array.dtype, np.integer) else tf.constant(array)

    inputs, targets = batch
    return keras.tree.map_structure(tensor, inputs), tensor(targets)


def calibrated(plan: Plan, model: keras.layers.Layer, inputs: Any, seed: int) -> None:
    """Draw a plan that asks for calibration, and correct it on inputs."""
    target, batch = target_of(model, "race"), batch_of(call_of(model, inputs))
    arrays = target.arrays()
    fresh = target.holding(arrays | drawn_arrays(plan, arrays, seed=seed))
    corrections = calibrate(fresh, batch, trace(fresh, batch), plan)
    target.holding(arrays | drawn_arrays(plan, arrays, seed=seed, corrections=corrections)).write()


def stack_of(
    models: Sequence[keras.layers.Layer], arms: Mapping[Arm, float], *, loss: Loss, kind: Kind, mode: str
) -> Stack:
    """The arms side by side."""
    optimizer = next(iter(arms)).optimizer
    return Stack([parts_of(model) for model in models], optimizer, list(arms.values()), loss=loss, kind=kind)


@dataclass(frozen=True)
class _Held:
    """What one arm holds, as lists of tensors.

    Attributes:
        rate: its learning rate.
        values: of what gradients move.
        moments: first and second of each.
        rest: of its other variables.
    """

    rate: Any
    values: Sequence[Any]
    moments: Sequence[Any]
    rest: Sequence[Any]


class Stack(CompiledStack[Parts]):
    """Arms of one model that are trained by one optimizer, each by the same compiled step."""

    def _begin(self, models: Sequence[Parts], rates: Sequence[float]) -> None:
        self._arms = [_begun(parts, rate) for parts, rate in zip(models, rates, strict=True)]
        self._step: Any = tf.function(self._one, autograph=False)
        self._measure: Any = tf.function(self._score, autograph=False)

    def step(self, inputs: Any, targets: Any, *, factor: float = 1.0) -> list[float]:
        """One step of every arm; each arm's loss before it."""
        self._made += 1
        correction = [tf.constant(each, tf.float32) for each in corrections(self._made)]
        share = tf.constant(factor, tf.float32)
        losses = []
        for place, arm in enumerate(self._arms):
            values, moments, rest, loss = self._step(
                arm.values, arm.moments, arm.rest, arm.rate * share, correction, inputs, targets
            )
            self._arms[place] = replace(arm, values=values, moments=moments, rest=rest)
            losses.append(loss)
        return [float(loss) for loss in losses]

    def look(self, inputs: Any, targets: Any) -> list[tuple[float, float | None]]:
        """Loss and score of every arm on held-out data."""
        rows = int(targets.shape[0])
        right: Array = targets.numpy()
        made = []
        for arm in self._arms:
            loss, total = 0.0, 0.0
            for begin in range(0, rows, MOST_HELD_OUT):
                part = slice(begin, begin + MOST_HELD_OUT)
                both: Any = keras.tree.map_structure(lambda t, part=part: t[part], (inputs, targets))
                some, aim = both
                own, score = self._measure(arm.values, arm.rest, some, aim)
                loss += float(own) * (int(aim.shape[0]) / rows)
                total += float(score)
            made.append((loss, None if self._kind == "custom" else score_of(self._kind, total, right)))
        return made

    def keep(self, arms: Sequence[int]) -> None:
        """Go on with these arms alone."""
        self._arms = [self._arms[arm] for arm in arms]

    def _one(self, values: Any, moments: Any, rest: Any, rate: Any, correction: Any, inputs: Any, targets: Any) -> Any:
        """A step of one arm."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            output, moved = self._code.run(values, rest, inputs, training=True)
            loss = tf.reshape(self._loss(output, targets), ())
        zeros = tf.UnconnectedGradients.ZERO
        slopes = cast("Sequence[Any]", tape.gradient(loss, values, unconnected_gradients=zeros))
        done = []
        for value, slope, held in zip(values, slopes, moments, strict=True):
            share, *divisors = (tf.cast(each, value.dtype) for each in (rate, *correction))
            given = (value, tf.convert_to_tensor(slope), held, share, tuple(divisors))
            done.append(self._update(*given, sqrt=tf.sqrt, square=tf.square))
        return [v for v, _ in done], [m for _, m in done], [tf.convert_to_tensor(t) for t in moved], loss

    def _score(self, values: Any, rest: Any, inputs: Any, targets: Any) -> Any:
        output, _ = self._code.run(values, rest, inputs, training=False)
        loss = tf.reshape(self._loss(output, targets), ())
        return loss, tf.zeros(()) if self._kind == "custom" else score_sum(self._kind, output, targets)


def _begun(parts: Parts, rate: float) -> _Held:
    values = [tf.convert_to_tensor(v.value) for v in parts.own]
    moments = [(tf.zeros_like(v), tf.zeros_like(v)) for v in values]
    return _Held(tf.constant(rate, tf.float32), values, moments, [tf.convert_to_tensor(v.value) for v in parts.rest])
