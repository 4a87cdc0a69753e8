"""B104: gradient-to-weight ratios that differ by orders of magnitude between layers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from penstock.checks.by_design import zero_by_design
from penstock.checks.check import Check
from penstock.checks.finding import Finding
from penstock.checks.places import number, others_of
from penstock.checks.thresholds import RATIO_ABOVE, RATIO_BELOW, RATIO_MIN_WEIGHTS, SMALL_GATE
from penstock.signals import Measured, ParameterStats


def _behind_small_gates(measured: Measured) -> frozenset[str]:
    """Weights of branches that a small learned gate (layer scale) or a zero scale turns down on purpose."""
    graph, trunk = measured.graph, frozenset(measured.graph.trunk)
    small = {
        n for n, p in measured.parameters.items() if p.role in ("gate", "scale") and p.rms < SMALL_GATE and p.uses
    } | zero_by_design(measured)
    small -= {n for n in small if measured.parameters[n].role in ("bias", "offset", "position")}
    front = [node.index for name in small for node in graph.users(name)]
    seen: set[int] = set(front)
    weights: set[str] = set()
    while front:
        node = graph.nodes[front.pop()]
        weights.update(node.parameters)
        for source in node.inputs:
            if source not in seen and source not in trunk:
                seen.add(source)
                front.append(source)
    return frozenset(weights)


def _ratios(measured: Measured) -> dict[str, float]:
    """log10 of gradient RMS over weight RMS, of trainable weights that have both."""
    skipped = _behind_small_gates(measured)
    found: dict[str, float] = {}
    for parameter in measured.parameters.values():
        ratio = parameter.grad_to_weight
        counted = parameter.role == "weight" and parameter.trainable and parameter.name not in skipped
        if counted and ratio is not None and math.isfinite(ratio) and ratio > 0:
            found[parameter.name] = math.log10(ratio)
    return found


def _run(measured: Measured) -> Iterator[Finding]:
    ratios = _ratios(measured)
    if len(ratios) < RATIO_MIN_WEIGHTS:
        return
    middle = median(ratios.values())
    # How far beyond its limit each weight lies, in decades.
    excess = {n: max(r - middle - RATIO_ABOVE, middle - r - RATIO_BELOW) for n, r in ratios.items()}
    bad = sorted((n for n in excess if excess[n] > 0), key=lambda n: -excess[n])
    if not bad:
        return
    first: ParameterStats = measured.parameters[bad[0]]
    above = ratios[first.name] > middle
    decades = abs(ratios[first.name] - middle)
    limit = RATIO_ABOVE if above else RATIO_BELOW
    yield Finding(
        code=CHECK.code,
        severity="warning",
        title=CHECK.title,
        place=first.name,
        shape=first.shape,
        observation=f"Its gradient-to-weight ratio is {number(10.0 ** ratios[first.name])}, "
        f"{number(10.0**decades)} times {'above' if above else 'below'} the median of {len(ratios)} weights; more than "
        f"{number(10.0**limit)} times is too much.",
        cause=f"its weights are too {'small' if above else 'large'}, or those of its neighbours too "
        f"{'large' if above else 'small'}: the product may look right while the shares are wrong",
        hint="penstock.initialize(model, batch)",
        value=10.0**decades,
        threshold=10.0**limit,
        others=others_of(bad[1:]),
    )


CHECK = Check(
    code="B104",
    title="layers would learn at very different speeds",
    what="Gradient RMS over weight RMS of each trainable weight, against the median of the model: more than 1e4 times "
    "above or 1e5 times below it.",
    why="One step of gradient descent changes each weight by learning rate times this ratio. Where ratios differ by "
    "1e4 no single rate fits: one layer is thrown away while another does not move. Scaling two neighbours by s and "
    "1/s leaves the function as it was and moves their ratios apart by s^4.",
    picture="""
      ratio   1e-3   1e-3   ######## 1e+3   1e-3
              [L1]   [L2]     [L3]          [L4]
    """,
    fix="`penstock.initialize(model, batch)` gives neighbours comparable scales. Where the model wants it so, give the "
    "layer a parameter group with a learning rate of its own.",
    silent="Queries and keys (up to 1e5 below), branches behind a small layer scale or a zero gate, zero gradients "
    "(see B103), fewer than four weights.",
    source="You et al., LARS (2017), https://arxiv.org/abs/1708.03888, section 4; "
    "Neyshabur et al., Path-SGD (2015), https://arxiv.org/abs/1506.02617",
    run=_run,
)
