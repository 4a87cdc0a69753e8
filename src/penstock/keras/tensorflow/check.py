"""Run a model forward and backward once, measured: `penstock.check` on TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from penstock.checks.registry import find
from penstock.keras.tensorflow.flatten import RECURRENT_STEPS
from penstock.keras.tensorflow.loss import Loss, check_loss
from penstock.keras.tensorflow.passes import Passes, both_passes
from penstock.keras.tensorflow.target import Batch, Target
from penstock.keras.tensorflow.tracer import Traced, trace
from penstock.report.report import Report
from penstock.signals import LossStats, Measured
from penstock.tracing.readings import Range, Reading, as_real, read, rms_of, signal_stats, with_gradient
from penstock.tracing.weights import Held, in_order_of_use, measure_parameters


def check(target: Target, batch: Batch, *, loss: Loss | None = None) -> Report:
    """See `penstock.check`."""
    measured = measure(target, batch, loss=loss)
    return Report(measured, find(measured))


def measure(target: Target, batch: Batch, *, loss: Loss | None = None) -> Measured:
    """One forward and one backward, everything measured; no variable is changed.

    Raises:
        ArgumentError, ModelError: see `penstock.check`.
    """
    check_loss(loss)
    return measured_of(target, batch, trace(target, batch), loss=loss)


def measured_of(target: Target, batch: Batch, traced: Traced, *, loss: Loss | None) -> Measured:
    """What `measure` returns, of a model that has been traced, with the values that the target holds."""
    inputs = dict(zip(traced.program.inputs, target.inputs(batch), strict=True))
    passes = both_passes(traced, inputs, loss)
    measured = Measured(
        model=target.name,
        graph=traced.graph,
        signals=tuple(signal_stats(traced.graph, _readings(traced, passes, batch.size))),
        parameters=measure_parameters(traced.graph, _held(traced, target, passes)),
        loss=LossStats(passes.loss, given=loss is not None, constant=passes.constant),
        batch_size=batch.size,
    )
    return replace(measured, notes=tuple(_notes(measured, traced)))


def _kind(dtype: np.dtype[Any]) -> Range:
    """A type's name and its smallest normal number; bfloat16 has float32's."""
    real = np.dtype(np.float32) if dtype.name == "bfloat16" or dtype.kind not in "fc" else dtype
    return Range(dtype.name, float(np.finfo(real).tiny))


def _readings(traced: Traced, passes: Passes, batch_size: int | None) -> dict[int, Reading]:
    readings: dict[int, Reading] = {}
    for node in traced.graph.nodes:
        value = passes.signals.get(node.index)
        if value is None or value.size == 0:
            continue
        kind = _kind(value.dtype)
        reading = read(value, kind, batch_size=batch_size, unit_axis=node.unit_axis)
        gradient = passes.signal_gradients.get(node.index)
        readings[node.index] = reading if gradient is None else with_gradient(reading, gradient, kind)
    return readings


def _held(traced: Traced, target: Target, passes: Passes) -> dict[str, Held]:
    """Each parameter, in the order in which they are used."""
    held: dict[str, Held] = {}
    for name, array in target.arrays().items():
        known = target.known[name]
        slope = None if known.frozen else passes.gradients.get(name)
        held[name] = Held(
            array,
            _kind(array.dtype),
            role=known.declared.role,
            geometry=known.declared.geometry,
            grad_rms=None if slope is None else rms_of(as_real(np.ascontiguousarray(slope))),
            trainable=not known.frozen,
            cell=known.declared.cell,
        )
    return in_order_of_use(traced.graph, held)


def _notes(measured: Measured, traced: Traced) -> Iterator[str]:
    if any(op.name == "loop_rest" for op in traced.program.ops):
        yield f"A loop whose steps share their weights was looked into for its first {RECURRENT_STEPS} steps."
    if measured.graph.outputs and not measured.loss.given and math.isnan(measured.loss.value):
        yield "No output depends on a parameter: the backward signal was not measured."
    if measured.batch_size is not None and measured.batch_size < 2:
        yield "The batch holds one input: whether inputs stay distinguishable was not measured. Give at least two."
    if not measured.graph.outputs:
        yield "No output tensor depends on the input: the backward signal was not measured."
