"""F101: the forward signal vanishes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.by_design import constant_by_design
from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, signal_finding
from penstock.checks.thresholds import VANISH_ERROR, VANISH_WARNING
from penstock.checks.walk import forward_levels, last_run, tail_signals
from penstock.signals import Measured


def _run(measured: Measured) -> Iterator[Finding]:
    # Outputs are checked by L102, and heads may be small.
    skipped = tail_signals(measured.graph) | constant_by_design(measured)
    levels = [level for level in forward_levels(measured) if level.index not in skipped]
    run = last_run(levels, lambda level: level.below < math.log10(VANISH_WARNING))
    if not run:
        return
    worst = min(run, key=lambda level: level.below)
    share = 10.0**worst.below
    limit = VANISH_ERROR if share < VANISH_ERROR else VANISH_WARNING
    first = next(level for level in run if level.below < math.log10(limit))
    left = 10.0**first.below
    yield signal_finding(
        CHECK,
        measured,
        first.index,
        others=[level.index for level in run],
        severity="error" if limit == VANISH_ERROR else "warning",
        observation=f"Here {number(left)} of the signal's RMS is left, and {number(share)} at the worst place behind "
        f"it; less than {number(limit)} is too little.",
        cause="weights too small for what they feed: each layer passes on a fraction of its input",
        hint="penstock.initialize(model, batch)  # the exact gain of each function instead of e.g. randn * 0.01",
        value=share,
        threshold=limit,
    )


CHECK = Check(
    code="F101",
    title="forward signal vanishes",
    what="The RMS of the signals that everything passes through (the trunk), relative to the largest before them. A "
    "norm that restores the size starts anew. 1e-3 of it left is a warning, 1e-4 an error.",
    why="A layer passes on gain = std * sqrt(fan_in) * (RMS of the function) of its input. Slightly less than 1, to "
    "the power of the depth, is nothing: the output no longer depends on the input, and gradients of all weights, "
    "which are products with these signals, vanish with it.",
    picture="""
      x ====> [L1] ===> [L2] ==> [L3] => [L4] - - > . . .
      1       0.4       0.16     0.06    0.03       0.4^n
    """,
    fix="Give each weight the gain that its function needs: `penstock.initialize(model, batch)`, or by hand "
    '`torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")`.',
    silent="Up to eight layers of PyTorch's default start; signals that a norm brings back; branches beside a residual "
    "stream; outputs (see L102); zeros by design; averages over pixels or tokens.",
    source="He et al., Delving Deep into Rectifiers (2015), https://arxiv.org/abs/1502.01852, eq. 10",
    run=_run,
)
