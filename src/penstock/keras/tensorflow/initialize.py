"""Plan, draw, calibrate, write and check again: `penstock.plan` and `penstock.initialize` on TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from penstock.checks.registry import find
from penstock.keras.tensorflow.check import measure, measured_of
from penstock.keras.tensorflow.learning_rate import measure_learning_rate
from penstock.keras.tensorflow.loss import Loss, check_loss
from penstock.keras.tensorflow.program import run
from penstock.keras.tensorflow.target import Batch, Target
from penstock.keras.tensorflow.tracer import Traced, trace
from penstock.ledger.book import Ledger
from penstock.planning.build import build_plan
from penstock.planning.corrected import calibrated, unreached
from penstock.planning.correcting import corrections_of, holding, mended, planned, rescaled, units_of
from penstock.planning.drawing import Corrections, drawn_arrays
from penstock.planning.initialization import Initialization
from penstock.planning.learning_rate import wanted_optimizers
from penstock.planning.named.choose import RecipeChoice
from penstock.planning.plan import Plan
from penstock.planning.records import ledger_of
from penstock.report.report import Report


def plan(
    target: Target,
    batch: Batch,
    *,
    loss: Loss | None = None,
    keep: Sequence[str] = (),
    recipe: RecipeChoice = "auto",
    names: Mapping[str, str] | None = None,
) -> Plan:
    """See `penstock.plan`."""
    return build_plan(measure(target, batch, loss=loss), keep=keep, recipe=recipe, names=names)


def initialize(
    target: Target,
    batch: Batch,
    *,
    loss: Loss | None = None,
    seed: int = 0,
    keep: Sequence[str] = (),
    recipe: RecipeChoice = "auto",
    names: Mapping[str, str] | None = None,
    learning_rate: bool | str = False,
) -> Initialization:
    """See `penstock.initialize`. The model's variables are written at the very end."""
    optimizers = wanted_optimizers(learning_rate, loss=loss)
    check_loss(loss)
    traced = trace(target, batch)
    measured = measured_of(target, batch, traced, loss=loss)
    chosen = build_plan(measured, keep=keep, recipe=recipe, names=names)
    fresh = _drawn(target, chosen, seed=seed)
    if traced.program.branched:  # with other weights it may be another program
        traced = trace(fresh, batch)
    corrections = calibrate(fresh, batch, traced, chosen)
    new = _drawn(target, chosen, seed=seed, corrections=corrections)
    after = measured_of(new, batch, traced, loss=loss)
    report = Report(after, find(after))
    notes = (*corrections.notes, *unreached(chosen, corrections.factors, report))
    written = calibrated(chosen, corrections.factors, notes)
    if loss is not None and optimizers:
        rate = measure_learning_rate(new, batch, loss=loss, optimizers=optimizers)
        written = replace(written, learning_rate=rate)
    ledger = ledger_of(written, new.arrays(), seed=seed)
    new.write()
    return Initialization(written, Report(measured, find(measured)), report, ledger, target.model)


def apply(plan: Plan, target: Target, *, seed: int = 0) -> Ledger:
    """See `penstock.Plan.apply`."""
    new = _drawn(target, plan, seed=seed)
    ledger = ledger_of(plan, new.arrays(), seed=seed)
    new.write()
    return ledger


def _drawn(target: Target, plan: Plan, *, seed: int, corrections: Corrections | None = None) -> Target:
    """The model with the parameters that a plan draws, and with what calibration corrects."""
    arrays = target.arrays()
    return target.holding(arrays | drawn_arrays(plan, arrays, seed=seed, corrections=corrections))


def calibrate(target: Target, batch: Batch, traced: Traced, plan: Plan) -> Corrections:
    """Find by what each planned weight is scaled so that its layer's output has the planned RMS.

    The pass goes on with the corrected signal, so that every layer is measured behind corrected ones.

    Args:
        target: the model with the plan's draws.
        batch: the data.
        traced: the model's program.
        plan: says which layers, and what they shall have.
    """
    program, held = traced.program, traced.trace.values
    todo = planned(traced.graph, traced.numbers, plan, lambda number: math.prod(program.avals[number].shape))
    if not todo:
        return Corrections()
    units = {e.name: e.geometry.out_axes for e in plan.entries}
    places = holding(held)
    found: dict[str, dict[str, Any]] = {}

    def made(number: int, value: Any, known: dict[int, Any]) -> Any:
        if number not in todo:
            return value
        node, wanted = todo[number]
        name = node.parameters[0]
        bias = None if wanted.bias is None else known[traced.parameters[wanted.bias]].numpy()
        each = units_of(traced.trace.shapes[name], units[name], node)
        with np.errstate(all="ignore"):
            result, corrected = mended(np, node, wanted, value.numpy(), bias, each=each)
        found[name] = result
        # A weight that is used again is used corrected.
        for other in (n for n in places.get(wanted.knob, ()) if n in known):
            new = rescaled(held[other], name, units[name], known[other].numpy(), result)
            known[other] = tf.constant(new, known[other].dtype)
        for other in (n for n in places.get(wanted.bias or "", ()) if "bias" in result and n in known):
            known[other] = tf.cast(result["bias"].reshape(known[other].shape), known[other].dtype)
        return tf.constant(corrected, value.dtype)

    inputs = dict(zip(program.inputs, target.inputs(batch), strict=True))
    run(program, inputs, made=made)
    return corrections_of(todo, found)
