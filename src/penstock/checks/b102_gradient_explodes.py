"""B102: the gradient explodes on its way back."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, signal_finding
from penstock.checks.thresholds import EXPLODE_ERROR, EXPLODE_WARNING
from penstock.checks.walk import backward_levels
from penstock.signals import Measured


def _run(measured: Measured) -> Iterator[Finding]:
    high = [level for level in backward_levels(measured) if level.above > math.log10(EXPLODE_WARNING)]
    if not high:
        return
    worst = max(high, key=lambda level: level.above)
    growth = 10.0**worst.above
    limit = EXPLODE_ERROR if growth > EXPLODE_ERROR else EXPLODE_WARNING
    first = next(level for level in high if level.above > math.log10(limit))
    yield signal_finding(
        CHECK,
        measured,
        first.index,
        others=[level.index for level in high],
        severity="error" if limit == EXPLODE_ERROR else "warning",
        observation=f"Here the gradient's norm is {number(10.0**first.above)} times that nearer the output, and grows "
        f"to {number(growth)} times; more than {number(limit)} is too much.",
        cause="weights too large for the slopes of their functions, or norms whose inputs are tiny",
        hint="penstock.initialize(model, batch)",
        value=growth,
        threshold=limit,
    )


CHECK = Check(
    code="B102",
    title="gradient explodes",
    what="The norm of the loss's gradient along the trunk, relative to its smallest nearer the output. 1e3 times is a "
    "warning, 1e4 times an error.",
    why="The first layers' steps are thousands of times those of the last ones. A learning rate that suits one end "
    "destroys or freezes the other; gradient clipping then scales everything by the worst layer.",
    picture="""
      [L1] <========== [L2] <===== [L3] <== [L4] <- loss
      4096             512         64       8       1
    """,
    fix="`penstock.initialize(model, batch)`: std * sqrt(fan_out) times the RMS slope near 1 in each layer. Batch norm "
    "multiplies gradients by about 1.2 a layer in plain stacks: add residual connections beyond fifty.",
    silent="Embeddings of N(0, 0.02) in front of a norm (50 times); growth with the square root of the depth.",
    source="Yang et al., A Mean Field Theory of Batch Normalization (2019), https://arxiv.org/abs/1902.08129; "
    "Pascanu et al. (2013), https://arxiv.org/abs/1211.5063",
    run=_run,
)
