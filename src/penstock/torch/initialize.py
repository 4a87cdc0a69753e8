"""Plan, write, calibrate and check again: `penstock.plan` and `penstock.initialize` for PyTorch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from penstock.checks.registry import find
from penstock.planning.build import build_plan
from penstock.planning.plan import Initialization, Plan
from penstock.report.report import Report
from penstock.torch.calibrate import calibrate
from penstock.torch.check import check, measure
from penstock.torch.measure.batch import Loss
from penstock.torch.write import all_or_nothing, apply

UNREACHED = 0.1
"""Share by which a calibrated output may miss its RMS: rounding in bfloat16 stays below a hundredth."""


def plan(model: nn.Module, batch: Any, *, loss: Loss | None = None, keep: Sequence[str] = ()) -> Plan:
    """See `penstock.plan`."""
    return build_plan(measure(model, batch, loss=loss), keep=keep)


def initialize(
    model: nn.Module, batch: Any, *, loss: Loss | None = None, seed: int = 0, keep: Sequence[str] = ()
) -> Initialization:
    """See `penstock.initialize`."""
    measured = measure(model, batch, loss=loss)
    chosen = build_plan(measured, keep=keep)
    with all_or_nothing(model):
        apply(chosen, model, seed=seed)
        factors, notes = calibrate(model, chosen, batch)
        after = check(model, batch, loss=loss)
    notes += tuple(_unreached(chosen, factors, after))
    return Initialization(_calibrated(chosen, factors, notes), Report(measured, find(measured)), after)


def _unreached(plan: Plan, factors: dict[str, float], after: Report) -> Iterator[str]:
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


def _calibrated(plan: Plan, factors: dict[str, float], notes: tuple[str, ...]) -> Plan:
    """The plan with the factors that calibration found; the recipes stay those that were drawn."""
    entries = tuple(
        replace(e, calibration=replace(e.calibration, factor=factors[e.name]))
        if e.calibration is not None and e.name in factors
        else e
        for e in plan.entries
    )
    return replace(plan, entries=entries, notes=plan.notes + notes)
