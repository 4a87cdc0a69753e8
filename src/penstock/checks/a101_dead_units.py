"""A101: units that are zero for the whole batch."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.by_design import constant_by_design
from penstock.checks.check import Check
from penstock.checks.finding import Finding, Severity
from penstock.checks.places import number, signal_finding
from penstock.checks.thresholds import DEAD_CHANCE, DEAD_ERROR, DEAD_MIN_UNITS, DEAD_SIGMAS, DEAD_WARNING
from penstock.signals import Measured


def _limits(units: int) -> tuple[float, float]:
    """Shares of dead units from which a warning and an error are due: more than chance makes of so few units."""
    chance = DEAD_CHANCE + DEAD_SIGMAS * math.sqrt(DEAD_CHANCE * (1 - DEAD_CHANCE) / units)
    return min(1.0, max(DEAD_WARNING, chance)), min(1.0, max(DEAD_ERROR, chance))


def _run(measured: Measured) -> Iterator[Finding]:
    if (measured.batch_size or 0) < 2:
        return
    constant = constant_by_design(measured)
    found: dict[Severity, list[tuple[int, float, float]]] = {"error": [], "warning": []}
    for node, signal in zip(measured.graph.nodes, measured.signals, strict=True):
        if node.kind != "pointwise" or signal is None or signal.dead_units is None or node.index in constant:
            continue
        if not signal.units or signal.units < DEAD_MIN_UNITS or node.index not in measured.graph.live:
            continue
        share, (warning, error) = signal.dead_units / signal.units, _limits(signal.units)
        if share >= error:
            found["error"].append((node.index, share, error))
        elif share >= warning:
            found["warning"].append((node.index, share, warning))
    worst: Severity | None = next((s for s in ("error", "warning") if found[s]), None)
    if worst is not None:
        yield _finding(measured, worst, found[worst])


def _finding(measured: Measured, severity: Severity, cases: list[tuple[int, float, float]]) -> Finding:
    index, share, limit = cases[0]
    signal = measured.signals[index]
    units = signal.units if signal is not None else 0
    return signal_finding(
        CHECK,
        measured,
        index,
        others=[i for i, _, _ in cases],
        severity=severity,
        observation=f"{number(100 * share)} % of its {units} units are 0 for all {measured.batch_size} inputs; "
        f"{number(100 * limit)} % is too many.",
        cause="biases far below zero, or inputs of one sign and large mean against weights that are not centred",
        hint="penstock.initialize(model, batch)  # or by hand: torch.nn.init.zeros_(layer.bias)",
        value=share,
        threshold=limit,
    )


CHECK = Check(
    code="A101",
    title="units are dead",
    what="The share of units (channels) behind a function that are 0 for every input of the batch. From 60 % a "
    "warning, from 90 % an error, and always three standard errors above the half that chance can make.",
    why="Where a ReLU is 0 its slope is 0 too: no gradient reaches the unit's weights, and it may never come back. A "
    "layer whose units are mostly dead is a narrow layer that pays for a wide one.",
    picture="""
      unit 1  ____/   alive on some inputs
      unit 2  _____   0 on every input: no gradient, no return
      unit 3  _____
    """,
    fix="`penstock.initialize(model, batch)` centres each layer on the data. By hand: zero biases, inputs of zero "
    "mean, `torch.nn.init.kaiming_normal_(layer.weight)`.",
    silent="Batches of one input, layers of fewer than 8 units, about half of the units where the inputs look alike.",
    source="Lu et al., Dying ReLU and Initialization (2019), https://arxiv.org/abs/1903.06733",
    run=_run,
)
