"""Run a model forward and backward once, measured: `penstock.check` for JAX."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from penstock.checks.registry import find
from penstock.jax.measure.batch import Batch, arguments
from penstock.jax.measure.loss import Loss, check_loss
from penstock.jax.measure.passes import BothPasses, Passes
from penstock.jax.models import Target, target_of
from penstock.jax.roles import roles_of
from penstock.jax.trace.flatten import RECURRENT_STEPS
from penstock.jax.trace.tracer import Traced, inputs_of, trace
from penstock.report.report import Report
from penstock.signals import LossStats, Measured
from penstock.tracing.readings import Range, Reading, as_real, read, rms_of, signal_stats, with_gradient
from penstock.tracing.weights import Held, in_order_of_use, measure_parameters


def check(model: Any, batch: Any, *, loss: Loss | None = None) -> Report:
    """See `penstock.check`."""
    measured = measure(model, batch, loss=loss)
    return Report(measured, find(measured))


def measure(model: Any, batch: Any, *, loss: Loss | None = None) -> Measured:
    """One forward and one backward, everything measured; no array is changed.

    Raises:
        ArgumentError, ModelError, UnsupportedError: see `penstock.check`.
    """
    check_loss(loss)
    target, given = target_of(model, "check"), arguments(batch)
    return measured_of(target, given, BothPasses(trace(target, given), loss), given_loss=loss is not None)


def measured_of(target: Target, batch: Batch, both: BothPasses, *, given_loss: bool) -> Measured:
    """What `measure` returns, of a model that has been traced."""
    traced = both.traced
    passes = both(inputs_of(target, batch, traced))
    measured = Measured(
        model=target.name,
        graph=traced.graph,
        signals=tuple(signal_stats(traced.graph, _readings(traced, passes, batch.size))),
        parameters=measure_parameters(traced.graph, _held(traced, target, passes)),
        loss=LossStats(passes.loss, given=given_loss, constant=passes.constant),
        batch_size=batch.size,
        call=target.handed,
    )
    return replace(measured, notes=tuple(_notes(measured, traced)))


def kind_of(dtype: Any) -> Range:
    """A type's name and its smallest normal number."""
    real = jnp.finfo(dtype).dtype if jnp.issubdtype(dtype, jnp.inexact) else jnp.float32
    return Range(str(np.dtype(dtype)), float(jnp.finfo(real).tiny))


def _readings(traced: Traced, passes: Passes, batch_size: int | None) -> dict[int, Reading]:
    readings: dict[int, Reading] = {}
    for node in traced.graph.nodes:
        value = passes.signals.get(node.index)
        if value is None or value.size == 0:
            continue
        kind = kind_of(value.dtype)
        reading = read(np.asarray(value), kind, batch_size=batch_size, unit_axis=node.unit_axis)
        gradient = passes.signal_gradients.get(node.index)
        readings[node.index] = reading if gradient is None else with_gradient(reading, np.asarray(gradient), kind)
    return readings


def _held(traced: Traced, target: Target, passes: Passes) -> dict[str, Held]:
    """Each parameter; of a stack of layers under `scan`, each layer's own."""
    held: dict[str, Held] = {}
    declared = roles_of(traced, target)
    for name, array in target.parameters.items():
        values, gradient = np.asarray(array), None if name in target.frozen else passes.gradients.get(name)
        slopes = None if gradient is None else np.asarray(gradient)
        for own, part in traced.parts_of(name):
            known = declared[own]
            held[own] = Held(
                values[part],
                kind_of(array.dtype),
                role=known.role,
                geometry=known.geometry,
                grad_rms=None if slopes is None else rms_of(as_real(np.ascontiguousarray(slopes[part]))),
                trainable=name not in target.frozen,
                cell=known.cell,
            )
    return in_order_of_use(traced.graph, held)


def _notes(measured: Measured, traced: Traced) -> Iterator[str]:
    if any(op.name == "scan_rest" for op in traced.program.ops):
        yield f"A loop whose steps share their weights was looked into for its first {RECURRENT_STEPS} steps."
    if any(op.name == "while" for op in traced.program.ops):
        yield "A while loop was passed through: JAX has no gradient of it. A scan with a fixed length is looked into."
    if measured.graph.outputs and not measured.loss.given and math.isnan(measured.loss.value):
        yield "No output depends on a parameter: the backward signal was not measured."
    if measured.batch_size is not None and measured.batch_size < 2:
        yield "The batch holds one input: whether inputs stay distinguishable was not measured. Give at least two."
    if not measured.graph.outputs:
        yield "No output array depends on the input: the backward signal was not measured."
