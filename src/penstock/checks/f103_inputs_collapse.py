"""F103: different inputs become indistinguishable on their way."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.by_design import constant_by_design
from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, signal_finding
from penstock.checks.thresholds import COLLAPSE_ERROR, COLLAPSE_WARNING, COSINE_NOISE
from penstock.checks.walk import Level, difference, difference_levels, last_run, tail_signals
from penstock.signals import Measured


def _run(measured: Measured) -> Iterator[Finding]:
    constant = constant_by_design(measured)
    # What only the outputs do is L103's to tell.
    left_out = constant | tail_signals(measured.graph)
    levels = [level for level in difference_levels(measured) if level.index not in left_out]

    def lost(level: Level) -> float:
        """What is left of 1 - cosine: absolutely or relative to its largest, whichever is more."""
        return max(10.0**level.below, difference(measured.signals[level.index]) or 0.0)

    run = last_run(levels, lambda level: lost(level) < COLLAPSE_WARNING)
    if not run:
        return
    left = min(lost(level) for level in run)
    limit = COLLAPSE_ERROR if left < COLLAPSE_ERROR else COLLAPSE_WARNING
    first = next(level for level in run if lost(level) < limit)
    apart = math.sqrt(2 * left)
    floor = left <= COSINE_NOISE  # rounding hides what is left
    yield signal_finding(
        CHECK,
        measured,
        first.index,
        others=[level.index for level in run],
        severity="error" if limit == COLLAPSE_ERROR else "warning",
        observation=f"From here on the cosine between the batch's inputs is above 1 - {number(limit)}, at the closest "
        f"1 - {number(left)}{' or closer' if floor else ''}: they differ by {'at most ' if floor else ''}"
        f"{number(100 * apart)} % of their size.",
        cause="biases or the mean of the activations drown what differs between inputs (weights too small for the "
        "function, or functions with a large mean)",
        hint="penstock.initialize(model, batch)  # keeps inputs apart by exact gains, centring and orthogonal weights",
        value=left,
        threshold=limit,
    )


CHECK = Check(
    code="F103",
    title="inputs become indistinguishable",
    what="1 - the mean cosine between the batch's inputs, two by two, along the trunk and relative to where they "
    "differed most. Below 1e-5 (they differ by 0.4 %) to the end it is a warning, below 1e-7 an error.",
    why="All inputs arrive at nearly one point. The head can learn only the mean of the targets, and what could move "
    "the inputs apart again has a gradient that shrinks at the same rate: training sits on a plateau.",
    picture="""
      cat  o----\\
      dog  o-----\\=====>=======>---------->  the same vector
      car  o----/
           1-c = 0.9   0.04    5e-5    2e-8
    """,
    fix="Start where correlations neither converge nor diverge: `penstock.initialize(model, batch)`. By hand: zero "
    "biases, the exact gain, a norm or residual connections, or a function without mean.",
    silent="Batches whose inputs are alike to begin with; slices and averages (class tokens, pooling); zero heads; "
    "eight layers and fewer of PyTorch's default start with ReLU or tanh.",
    source="Schoenholz et al., Deep Information Propagation (2017), https://arxiv.org/abs/1611.01232, section 3",
    run=_run,
)
