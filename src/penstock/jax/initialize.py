"""Plan, draw, calibrate and check again: `penstock.plan` and `penstock.initialize` for JAX."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from penstock.checks.registry import find
from penstock.errors import UnsupportedError, message
from penstock.jax.calibrate import calibrate
from penstock.jax.check import measure, measured_of
from penstock.jax.measure.batch import arguments
from penstock.jax.measure.loss import Loss, check_loss
from penstock.jax.measure.passes import BothPasses
from penstock.jax.models import target_of
from penstock.jax.records import ledger_of
from penstock.jax.trace.tracer import inputs_of, trace
from penstock.jax.write import drawn, pieces_of
from penstock.planning.build import build_plan
from penstock.planning.named.choose import RecipeChoice
from penstock.planning.plan import Initialization, Plan
from penstock.report.report import Report

UNREACHED = 0.1
"""Share by which a calibrated output may miss its RMS: rounding in bfloat16 stays below a hundredth."""


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
    return build_plan(measure(model, batch, loss=loss), keep=keep, recipe=recipe, names=names)


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
    if learning_rate:
        fact = "initialize: learning_rate is measured for PyTorch models; this is a JAX model."
        raise UnsupportedError(message(fact, hint="penstock.initialize(apply_fn, params, batch)"))
    check_loss(loss)
    target, given = target_of(model, "initialize"), arguments(batch)
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
    notes = (*corrections.notes, *_unreached(chosen, corrections.factors, report))
    calibrated = _calibrated(chosen, corrections.factors, notes)
    ledger = ledger_of(calibrated, pieces_of(calibrated, values), seed=seed)
    new = target.rebuild(list(values.values()))
    return Initialization(calibrated, Report(measured, find(measured)), report, ledger, new)


def _unreached(plan: Plan, factors: Mapping[str, float], after: Report) -> Iterator[str]:
    """Sentences about layers whose output does not have the planned RMS although their weight was scaled."""
    measured = after.measured
    for name in factors:
        calibration = plan[name].calibration
        uses = [n for n in measured.graph.users(name) if n.kind == "contraction" and n.parameters[0] == name]
        signal = measured.signals[uses[0].index] if uses else None
        if calibration is None or signal is None:
            continue
        wanted = math.hypot(calibration.target, calibration.centre or 0.0)
        if not abs(signal.rms / wanted - 1.0) < UNREACHED:
            yield (
                f"{name}: its output has RMS {signal.rms:.3g} where {wanted:.3g} was planned: scaling the weight does "
                "not scale the output (is it normalised before it is used?)."
            )


def _calibrated(plan: Plan, factors: Mapping[str, float], notes: Sequence[str]) -> Plan:
    """The plan with the factors that calibration found; the recipes stay those that were drawn."""
    entries = tuple(
        replace(e, calibration=replace(e.calibration, factor=factors[e.name]))
        if e.calibration is not None and e.name in factors
        else e
        for e in plan.entries
    )
    return replace(plan, entries=entries, notes=(*plan.notes, *notes))
