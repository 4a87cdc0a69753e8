"""P101: overflow and underflow in the model's dtype."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, signal_finding
from penstock.checks.thresholds import UNDERFLOW_SHARE
from penstock.graph import Node
from penstock.signals import Measured

# What softmax or exp makes may be as small as it likes: only sums of products are asked.
_ASKED = frozenset({"contraction", "sum", "norm"})


def _nonfinite(measured: Measured, index: int) -> bool:
    signal = measured.signals[index]
    return signal is not None and (signal.nonfinite_share > 0 or not math.isfinite(signal.rms))


def _overflows(measured: Measured) -> list[int]:
    """Where the forward signal first ceases to be finite; masks of -inf that an average absorbs do not count."""
    graph = measured.graph
    lasting: set[int] = set()
    for node in reversed(graph.nodes):
        if not _nonfinite(measured, node.index):
            continue
        ends = node.index in graph.outputs or any(c in lasting for c in graph.consumers[node.index])
        if ends or node.kind in ("contraction", "norm"):
            lasting.add(node.index)
    return [i for i in sorted(lasting) if not any(_nonfinite(measured, j) for j in graph.nodes[i].inputs)]


def _run(measured: Measured) -> Iterator[Finding]:
    if any(p.nonfinite_share > 0 for p in measured.parameters.values()):
        return  # U102: the weights themselves
    forward = _overflows(measured)
    if forward:
        yield _overflow(measured, forward)
        return
    backward = [n.index for n in measured.graph.nodes if _gradient_nonfinite(measured, n)]
    if backward:
        yield _gradient_overflow(measured, backward[::-1])
        return
    yield from _underflow(measured)


def _overflow(measured: Measured, indices: list[int]) -> Finding:
    first = indices[0]
    signal = measured.signals[first]
    share = signal.nonfinite_share if signal is not None else 1.0
    given = measured.graph.nodes[first].kind == "input"
    return signal_finding(
        CHECK,
        measured,
        first,
        others=indices,
        severity="error",
        observation=f"{number(100 * share)} % of its elements are NaN or infinite although all weights are finite; "
        "none may be.",
        cause="the batch itself is not finite" if given else "numbers too large for the dtype, or 0/0",
        hint="torch.isfinite(batch).all()" if given else "penstock.initialize(model, batch)",
        value=share,
        threshold=0.0,
    )


def _gradient_nonfinite(measured: Measured, node: Node) -> bool:
    signal = measured.signals[node.index]
    if signal is None or signal.grad_rms is None:
        return False
    return signal.grad_nonfinite_share > 0 or not math.isfinite(signal.grad_rms)


def _gradient_overflow(measured: Measured, indices: list[int]) -> Finding:
    first = indices[0]
    signal = measured.signals[first]
    share = signal.grad_nonfinite_share if signal is not None else 1.0
    return signal_finding(
        CHECK,
        measured,
        first,
        others=indices,
        severity="error",
        observation=f"{number(100 * share)} % of its gradient is NaN or infinite although the signal is finite; none "
        "may be.",
        cause="an infinite slope (sqrt, log or a norm at 0), or gradients too large for the dtype",
        hint="penstock.initialize(model, batch)",
        value=share,
        threshold=0.0,
    )


def _underflow(measured: Measured) -> Iterator[Finding]:
    cases: list[tuple[int, float, str, str]] = []
    for node, signal in zip(measured.graph.nodes, measured.signals, strict=True):
        if signal is None or node.kind not in _ASKED or node.index not in measured.graph.live:
            continue
        share, what = max((signal.subnormal_share, "elements"), (signal.grad_subnormal_share, "gradient"))
        if share > UNDERFLOW_SHARE:
            cases.append((node.index, share, what, signal.dtype))
    if cases:
        index, share, what, dtype = max(cases, key=lambda case: case[1])
        yield signal_finding(
            CHECK,
            measured,
            index,
            others=[i for i, *_ in cases],
            severity="warning",
            observation=f"{number(100 * share)} % of its {what} is below the smallest normal {dtype}; "
            f"{number(100 * UNDERFLOW_SHARE)} % is too much.",
            cause="a signal too small for the dtype, or float16 gradients without loss scaling",
            hint="torch.amp.GradScaler() around the loss"
            if what == "gradient" and dtype.endswith("float16") and not dtype.endswith("bfloat16")
            else "penstock.initialize(model, batch)",
            value=share,
            threshold=UNDERFLOW_SHARE,
        )


CHECK = Check(
    code="P101",
    title="numbers leave the dtype's range",
    what="Signals and gradients that are NaN or infinite although all weights are finite (error), and shares above 5 % "
    "that are below the dtype's smallest normal number (warning).",
    why="Above its range a dtype has only infinity, which becomes NaN at the next difference; below it, fewer and "
    "fewer digits and then 0. float16 ends at 65504 and is subnormal below 6.1e-5, where most gradients of a mean "
    "live.",
    picture="""
      0 . . : : : ::::::::::::::::::::::::::::::::::::: | inf
        ^subnormal: few digits    normal numbers        ^65504 in float16
    """,
    fix="Keep signals near 1: `penstock.initialize(model, batch)`. For float16 gradients scale the loss: "
    "`torch.amp.GradScaler()`, or use bfloat16.",
    silent="Masks of -inf that a softmax absorbs; small results of softmax, sigmoid and exp.",
    source="Micikevicius et al., Mixed Precision Training (2018), https://arxiv.org/abs/1710.03740, section 3.2",
    run=_run,
)
