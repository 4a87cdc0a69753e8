"""B101: the gradient vanishes on its way back."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.by_design import constant_by_design
from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, signal_finding
from penstock.checks.thresholds import VANISH_ERROR, VANISH_WARNING
from penstock.checks.walk import Level, backward_levels, last_run
from penstock.signals import Measured


def _blocked_by_design(measured: Measured, level: Level) -> bool:
    """Whether a zero head, or another constant that is right, lies between this signal and the output."""
    return level.below == -math.inf and any(i > level.index for i in constant_by_design(measured))


def _run(measured: Measured) -> Iterator[Finding]:
    levels = [level for level in backward_levels(measured) if not _blocked_by_design(measured, level)]
    run = last_run(levels, lambda level: level.below < math.log10(VANISH_WARNING))
    if not run:
        return
    worst = min(run, key=lambda level: level.below)
    share = 10.0**worst.below
    limit = VANISH_ERROR if share < VANISH_ERROR else VANISH_WARNING
    first = next(level for level in run if level.below < math.log10(limit))
    yield signal_finding(
        CHECK,
        measured,
        first.index,
        others=[level.index for level in run],
        severity="error" if limit == VANISH_ERROR else "warning",
        observation=f"Here {number(10.0**first.below)} of the gradient's norm at the output is left, and "
        f"{number(share)} at the first layers; less than {number(limit)} is too little.",
        cause="weights too small for the slopes of their functions, or functions on their flat ends",
        hint="penstock.initialize(model, batch)",
        value=share,
        threshold=limit,
    )


CHECK = Check(
    code="B101",
    title="gradient vanishes",
    what="The norm of the loss's gradient along the trunk, relative to its largest nearer the output; the head's own "
    "factor is left out. 1e-3 left is a warning, 1e-4 an error.",
    why="A layer passes back std * sqrt(fan_out) * (RMS of the function's slope) of the gradient. To the power of the "
    "depth nothing arrives: the first layers keep their random weights while the last ones learn to use noise.",
    picture="""
      [L1] <. . . [L2] <- - [L3] <--- [L4] <=== loss
      2e-8        1e-5      4e-3      0.1       1
    """,
    fix="`penstock.initialize(model, batch)`: gains that keep the backward signal too, orthogonal weights in deep "
    "plain stacks. Residual connections and norms give the gradient another way.",
    silent="Eight layers and fewer of PyTorch's default start with ReLU, six with GELU; averages over pixels or "
    "tokens; small and zero heads; zeros by design; branches beside a residual stream.",
    source="Glorot and Bengio (2010), https://proceedings.mlr.press/v9/glorot10a.html, eq. 6; "
    "Schoenholz et al. (2017), https://arxiv.org/abs/1611.01232, section 4",
    run=_run,
)
