"""S101: units of a layer that are identical, zeros and constants included."""

from __future__ import annotations

import math
from collections.abc import Iterator

from penstock.checks.by_design import zero_by_design
from penstock.checks.check import Check
from penstock.checks.finding import Finding, Severity
from penstock.checks.held import Holdings
from penstock.checks.held_symmetry import duplicate_rows
from penstock.checks.places import number, others_of
from penstock.checks.thresholds import DUPLICATE_ERROR, DUPLICATE_MIN_ROW, DUPLICATE_WARNING, STRUCTURED_ZEROS
from penstock.graph import Graph
from penstock.signals import Measured, ParameterStats


def _severity(graph: Graph, parameter: ParameterStats) -> Severity | None:
    units, distinct = parameter.units, parameter.distinct_units
    if units is None or distinct is None or units < 2:
        return None
    groups = parameter.geometry.groups if parameter.geometry is not None else 1
    if distinct == 1:
        # Depthwise units each see a channel of their own: equal filters are no symmetry, but zeros pass nothing.
        return "error" if groups < units or parameter.rms == 0.0 else None
    row = math.prod(parameter.shape) // units
    structured = parameter.zero_share >= STRUCTURED_ZEROS or row < DUPLICATE_MIN_ROW or groups > 1
    if parameter.role != "weight" or structured or parameter.repeats > 1 or _is_sub_pixel(graph, parameter):
        return None
    if distinct <= DUPLICATE_ERROR * units:
        return "error"
    return "warning" if distinct <= DUPLICATE_WARNING * units else None


def _is_sub_pixel(graph: Graph, parameter: ParameterStats) -> bool:
    """Whether the copies are those of ICNR: r*r equal kernels whose outputs become the pixels of one channel."""
    copies = (parameter.units or 0) // max(parameter.distinct_units or 1, 1)
    readers = [graph.nodes[c] for user in graph.users(parameter.name) for c in graph.consumers[user.index]]
    square = round(copies**0.5) ** 2 == copies
    return square and bool(readers) and all("shuffle" in r.op or r.kind == "move" for r in readers)


def _run(measured: Measured) -> Iterator[Finding]:
    fine = zero_by_design(measured)
    found: dict[Severity, list[ParameterStats]] = {}
    for parameter in measured.parameters.values():
        counted = parameter.role in ("weight", "embedding") and parameter.trainable and parameter.uses > 0
        if not counted or parameter.name in fine or parameter.nonfinite_share > 0:
            continue
        severity = _severity(measured.graph, parameter)
        if severity is not None:
            found.setdefault(severity, []).append(parameter)
    for severity, parameters in found.items():
        yield _finding(severity, parameters)


def _finding(severity: Severity, parameters: list[ParameterStats]) -> Finding:
    first = parameters[0]
    units, distinct = first.units or 0, first.distinct_units or 0
    if distinct == 1:
        value = "all zeros" if first.rms == 0.0 else "all the same"
        observation = f"Its {units} units are {value}: 1 differs, {units} should."
        limit = 1.0
    else:
        limit = (DUPLICATE_ERROR if severity == "error" else DUPLICATE_WARNING) * units
        observation = f"Only {distinct} of its {units} units differ; at most {number(limit)} is too few."
    return Finding(
        code=CHECK.code,
        severity=severity,
        title=CHECK.title,
        place=first.name,
        shape=first.shape,
        observation=observation,
        cause="filled with zeros, a constant or copies; units that start equal get equal gradients and stay equal",
        hint="penstock.initialize(model, batch)  # or draw it at random",
        value=float(distinct),
        threshold=limit,
        others=others_of((p.name for p in parameters), first=first.name),
    )


def _held(holdings: Holdings) -> Iterator[Finding]:
    return duplicate_rows(CHECK.code, CHECK.title, holdings)


CHECK = Check(
    code="S101",
    title="units of a layer are identical",
    what="How many rows (along the output axes) of a weight differ. It is an error if all are the same, zeros "
    "included, or if half of them or more are copies.",
    why="Units with the same incoming weights compute the same thing, receive the same gradient where their outgoing "
    "weights agree too, and stay copies for ever: a layer of 512 such units is a layer of one. Zeros are worse: two "
    "zero layers in a row pass no signal and no gradient.",
    picture="""
      x ---w---> h1 ---v---\\
       \\                     > y      h1 = h2, dL/dh1 = dL/dh2
        \\--w---> h2 ---v---/          so they never part
    """,
    fix="Draw the weights: `penstock.initialize(model, batch)`, or for one layer "
    "`torch.nn.init.orthogonal_(layer.weight)`. Random numbers break the symmetry; their scale is another matter.",
    silent="Zeros that end in a sum, a gate or an average with a living signal (last layer of a residual branch, "
    "LoRA's B, zero convolutions, adaptive norms, queries) or in the output (a zero head); biases, norm offsets and "
    "scales; equal depthwise filters; ICNR's sub-pixel kernels; sparse and identity matrices; frozen and unused "
    "weights.",
    source="Goodfellow, Bengio and Courville, Deep Learning (2016), section 8.4: initial parameters must break "
    "symmetry",
    run=_run,
    held=_held,
)
