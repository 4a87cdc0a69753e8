"""P102: outliers that no initializer would draw."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, others_of
from penstock.checks.thresholds import OUTLIER_MARGIN, OUTLIER_MIN_SIZE
from penstock.signals import Measured, ParameterStats


def _limit(parameter: ParameterStats) -> float:
    """Largest magnitude over RMS that a draw of so many numbers may have."""
    return math.sqrt(2 * math.log(math.prod(parameter.shape))) + OUTLIER_MARGIN


def _run(measured: Measured) -> Iterator[Finding]:
    bad = [
        p
        for p in measured.parameters.values()
        if p.role in ("weight", "embedding") and math.prod(p.shape) >= OUTLIER_MIN_SIZE and p.outlier > _limit(p)
    ]
    if bad:
        first = max(bad, key=lambda p: p.outlier)
        yield Finding(
            code=CHECK.code,
            severity="error",
            title=CHECK.title,
            place=first.name,
            shape=first.shape,
            observation=f"Its largest element, {number(first.max_abs)}, is {number(first.outlier)} times the RMS of "
            f"the others; {math.prod(first.shape)} random numbers reach {number(_limit(first))} at most.",
            cause="a truncated normal in low precision (its inverse error function overflows to the bound), a bit "
            "flip, or an element that was set by hand",
            hint="penstock.initialize(model, batch)  # or draw it again, with std=0.02",
            value=first.outlier,
            threshold=_limit(first),
            others=others_of((p.name for p in bad), first=first.name),
        )


CHECK = Check(
    code="P102",
    title="weights have impossible outliers",
    what="The largest magnitude of a weight over the RMS of its other nonzero elements, against sqrt(2 ln n) + 8 for n "
    "elements: what the largest of n normal numbers is, and ample room.",
    why="A single weight of 2.0 among weights of 0.001 makes one unit shout over all others; in low precision "
    "everything beside it is rounded away, and quantization scales to it.",
    picture="""
      |........................................|
      |  ....                                  |
      | ......                               x |   2000 standard deviations out
      +----------------------------------------+
    """,
    fix="Draw the weight again in float32: `penstock.initialize(model, batch)`, or "
    "`torch.nn.init.normal_(layer.weight, std=0.02)`.",
    silent="Zeros do not count, so sparse, identity and Dirac weights are fine; heavy tails up to Laplace.",
    source="https://github.com/pytorch/pytorch/issues/155588 (trunc_normal_ emits its bounds for a tiny std)",
    run=_run,
)
