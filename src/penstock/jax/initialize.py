"""Plan, draw, calibrate and check again: `penstock.plan` and `penstock.initialize` for JAX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from penstock.checks.registry import find
from penstock.jax.calibrate import calibrate
from penstock.jax.check import measure, measured_of
from penstock.jax.learning_rate import measure_learning_rate
from penstock.jax.measure.batch import arguments
from penstock.jax.measure.loss import Loss, check_loss
from penstock.jax.measure.passes import BothPasses
from penstock.jax.models import target_of
from penstock.jax.trace.tracer import inputs_of, trace
from penstock.jax.write import drawn
from penstock.planning.build import build_plan
from penstock.planning.corrected import calibrated, unreached
from penstock.planning.drawing import pieces_of
from penstock.planning.initialization import Initialization
from penstock.planning.learning_rate import wanted_optimizers
from penstock.planning.named.choose import RecipeChoice
from penstock.planning.plan import Plan
from penstock.planning.records import ledger_of
from penstock.report.report import Report


def plan(
    model: Any,
    batch: Any,
    *,
    loss: Loss | None = None,
    keep: Sequence[str] = (),
    recipe: RecipeChoice = "auto",
    names: Mapping[str, str] | None = None,
) -> Plan:
    """See `penstock.plan`."""
    return build_plan(measure(target_of(model, "plan"), batch, loss=loss), keep=keep, recipe=recipe, names=names)


def initialize(
    model: Any,
    batch: Any,
    *,
    loss: Loss | None = None,
    seed: int = 0,
    keep: Sequence[str] = (),
    recipe: RecipeChoice = "auto",
    names: Mapping[str, str] | None = None,
    learning_rate: bool | str = False,
) -> Initialization:
    """See `penstock.initialize`. Nothing is changed but an nnx module, and that at the very end."""
    target, given = target_of(model, "initialize"), arguments(batch)
    optimizers = wanted_optimizers(learning_rate, loss=loss, call=target.handed)
    check_loss(loss)
    both = BothPasses(trace(target, given), loss)
    measured = measured_of(target, given, both, given_loss=loss is not None)
    chosen = build_plan(measured, keep=keep, recipe=recipe, names=names)
    values = drawn(chosen, target, seed=seed)
    fresh = replace(target, parameters=values)
    if both.traced.program.branched:  # with other weights it may be another program
        both = BothPasses(trace(fresh, given), loss)
    corrections = calibrate(both.traced, chosen, inputs_of(fresh, given, both.traced))
    values = drawn(chosen, target, seed=seed, corrections=corrections)
    after = measured_of(replace(target, parameters=values), given, both, given_loss=loss is not None)
    report = Report(after, find(after))
    notes = (*corrections.notes, *unreached(chosen, corrections.factors, report))
    written = calibrated(chosen, corrections.factors, notes)
    if loss is not None and optimizers:
        start = replace(target, parameters=values)
        rate = measure_learning_rate(start, given, loss=loss, optimizers=optimizers)
        written = replace(written, learning_rate=rate)
    ledger = ledger_of(written, pieces_of(written, values), seed=seed)
    new = target.rebuild(list(values.values()))
    return Initialization(written, Report(measured, find(measured)), report, ledger, new)
