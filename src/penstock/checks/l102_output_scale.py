"""L102: outputs that are far too large or far too small."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.by_design import constant_by_design
from penstock.checks.check import Check
from penstock.checks.finding import Finding, Severity
from penstock.checks.places import number, signal_finding
from penstock.checks.thresholds import OUTPUT_ERROR, OUTPUT_SMALL, OUTPUT_WARNING
from penstock.signals import Measured


def _run(measured: Measured) -> Iterator[Finding]:
    constant = constant_by_design(measured)
    large: list[tuple[int, float]] = []
    small: list[tuple[int, float]] = []
    for index in dict.fromkeys(measured.graph.outputs):
        signal = measured.signals[index]
        if signal is None or index not in measured.graph.live or signal.nonfinite_share > 0:
            continue
        if signal.rms > OUTPUT_WARNING and math.isfinite(signal.rms):
            large.append((index, signal.rms))
        elif signal.rms < OUTPUT_SMALL and index not in constant and 0 not in signal.shape:
            small.append((index, signal.rms))
    if large:
        limit = OUTPUT_ERROR if any(rms > OUTPUT_ERROR for _, rms in large) else OUTPUT_WARNING
        large = [case for case in large if case[1] > limit]
        yield _finding(measured, large, "error" if limit == OUTPUT_ERROR else "warning", limit)
    if small:
        yield _finding(measured, small, "warning", OUTPUT_SMALL)


def _finding(measured: Measured, cases: list[tuple[int, float]], severity: Severity, limit: float) -> Finding:
    index, rms = cases[0]
    above = rms > limit
    return signal_finding(
        CHECK,
        measured,
        index,
        others=[i for i, _ in cases],
        severity=severity,
        observation=f"The output's RMS is {number(rms)}; {'more' if above else 'less'} than {number(limit)} is too "
        f"{'much' if above else 'little'}.",
        cause=f"the last weights, or the signal that reaches them, are too {'large' if above else 'small'}",
        hint="penstock.initialize(model, batch)",
        value=rms,
        threshold=limit,
    )


CHECK = Check(
    code="L102",
    title="output has a wrong scale",
    what="The RMS of each output. Above 100 is a warning, above 1e4 an error, below 1e-4 a warning.",
    why="Large logits make softmax a hard choice whose gradient is 0 or 1, and a squared loss of 1e4 and more; tiny "
    "ones move so little that the first steps seem to do nothing.",
    picture="""
      softmax([0.3, -0.1, 0.2]) = [0.39, 0.26, 0.35]   undecided: can learn
      softmax([300, -100, 200]) = [1.00, 0.00, 0.00]   decided: must unlearn
    """,
    fix="`penstock.initialize(model, batch)`, or by hand `torch.nn.init.normal_(head.weight, std=0.02)`.",
    silent="Heads that are zero by design; outputs that do not depend on the input.",
    source="Karpathy, A Recipe for Training Neural Networks (2019), https://karpathy.github.io/2019/04/25/recipe/; "
    "Zhang et al., Fixup (2019), https://arxiv.org/abs/1901.09321 (zero last layer)",
    run=_run,
)
