"""Sums, means and extremes of a signal over some of its axes."""

from __future__ import annotations

import math

from penstock.tracing.recording import Recording, Step
from penstock.tracing.values import Signal


def reduction(
    recording: Recording, name: str, value: Signal, shape: tuple[int, ...], axes: tuple[int, ...], *, keep: bool = False
) -> Step:
    """The step of a reduction, which is not recorded yet.

    Args:
        recording: of what came before.
        name: "sum", "mean", "max" or another.
        value: what is reduced.
        shape: of that.
        axes: over which, each 0 <= axis < len(shape).
        keep: whether they stay, of size 1.
    """
    before = recording.steps[value.node]
    kept = [a for a in range(len(shape)) if a not in axes or keep]
    units = tuple(kept.index(a) for a in value.unit_axes if a not in axes)
    return Step(
        "mix" if name in ("sum", "mean") else "other",
        name,
        (value.node,),
        unit_axes=units if len(units) == len(value.unit_axes) else (),
        statistic_of=recording.origin(value.node) if before.statistic_of is None else before.statistic_of,
        peak=name == "max" or before.peak,
        total=(before.op == "exp" and name == "sum") or before.total,
        count=math.prod(shape[a] for a in axes) if name == "sum" else 0,
        reduced=axes,
    )
