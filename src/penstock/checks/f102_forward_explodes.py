"""F102: the forward signal explodes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, signal_finding
from penstock.checks.thresholds import EXPLODE_ERROR, EXPLODE_RMS, EXPLODE_WARNING
from penstock.checks.walk import forward_levels, tail_signals
from penstock.signals import Measured


def _run(measured: Measured) -> Iterator[Finding]:
    tail = tail_signals(measured.graph)
    high = [
        level
        for level in forward_levels(measured)
        if level.index not in tail
        and level.above > math.log10(EXPLODE_WARNING)
        and _rms(measured, level.index) > EXPLODE_RMS
    ]
    if not high:
        return
    worst = max(high, key=lambda level: level.above)
    limit = EXPLODE_ERROR if worst.above > math.log10(EXPLODE_ERROR) else EXPLODE_WARNING
    first = next(level for level in high if level.above > math.log10(limit))
    growth = 10.0**worst.above
    yield signal_finding(
        CHECK,
        measured,
        first.index,
        others=[level.index for level in high],
        severity="error" if limit == EXPLODE_ERROR else "warning",
        observation=f"Its RMS is {number(_rms(measured, first.index))}, {number(10.0**first.above)} times that of the "
        f"smallest signal before it, and grows to {number(growth)} times; more than {number(limit)} is too much.",
        cause="weights too large for what they feed: each layer multiplies its input",
        hint="penstock.initialize(model, batch)  # the exact gain of each function instead of e.g. randn",
        value=growth,
        threshold=limit,
    )


def _rms(measured: Measured, index: int) -> float:
    signal = measured.signals[index]
    return signal.rms if signal is not None else 0.0


CHECK = Check(
    code="F102",
    title="forward signal explodes",
    what="The RMS of the signals that everything passes through (the trunk), relative to the smallest before them. 1e3 "
    "times is a warning, 1e4 times an error, if the RMS is above 100 as well.",
    why="A layer multiplies its input by gain = std * sqrt(fan_in) * (RMS of the function). Above 1, to the power of "
    "the depth, it saturates every bounded function, makes softmax a hard choice, overflows float16 at 65504 and turns "
    "the first steps into jumps.",
    picture="""
      x => [L1] ==> [L2] ====> [L3] ========> [L4] ================> inf
      1    8        64         512            4096
    """,
    fix="Divide by the square root of the fan: `penstock.initialize(model, batch)`, or by hand "
    '`torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")`. In residual nets without norms divide each '
    "branch by the square root of their number.",
    silent="Inputs of any unit (0..255); streams that grow with the square root of their sums; outputs (see L102).",
    source="Glorot and Bengio (2010), https://proceedings.mlr.press/v9/glorot10a.html, eq. 5; "
    "Hanin and Rolnick (2018), https://arxiv.org/abs/1803.01719",
    run=_run,
)
