"""What calibration did to a plan: the factors that it found, and sentences where they are not what was planned."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from penstock.planning.plan import Plan
from penstock.report.report import Report

UNREACHED = 0.1
"""Share by which a calibrated output may miss its RMS: rounding in bfloat16 stays below a hundredth."""

SURPRISE = math.log(2.0)
"""Correlated inputs, zero padding and finite width together change a healthy layer's output by no more than this."""

SURPRISE_SIGMAS = 5.0
"""Standard errors of chance on top."""


def unreached(plan: Plan, factors: Mapping[str, float], after: Report) -> Iterator[str]:
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


def surprises(plan: Plan, factors: Mapping[str, float], after: Report) -> tuple[str, ...]:
    """One sentence on the weights whose outputs were not as large as the analysis says, by more than chance does.

    The mean square of a layer's output is a mean over its units and the batch's inputs. Were they independent, its log
    would scatter by 1/sqrt(2 n), n the smaller of the two numbers.
    """
    found: dict[str, float] = {}
    for name, factor in factors.items():
        entry = plan[name]
        units = math.prod(entry.shape[a] for a in entry.geometry.out_axes) if entry.geometry.out_axes else 1
        n = max(1, min(units, after.measured.batch_size or units))
        if abs(math.log(factor)) > SURPRISE + SURPRISE_SIGMAS / math.sqrt(2.0 * n):
            found[name] = factor
    if not found:
        return ()
    worst = max(found, key=lambda name: abs(math.log(found[name])))
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return (
        f"{worst}{more}: calibration had to scale it by {found[worst]:.3g}, which its width and the batch do not "
        "explain: its input is not what the analysis took it for (correlated inputs, padding, an operation unread).",
    )


def calibrated(plan: Plan, factors: Mapping[str, float], notes: tuple[str, ...]) -> Plan:
    """The plan with the factors that calibration found; the recipes stay those that were drawn."""
    entries = tuple(
        replace(e, calibration=replace(e.calibration, factor=factors[e.name]))
        if e.calibration is not None and e.name in factors
        else e
        for e in plan.entries
    )
    return replace(plan, entries=entries, notes=plan.notes + notes)
