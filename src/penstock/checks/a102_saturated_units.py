"""A102: bounded functions that work on their flat ends."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.checks.check import Check
from penstock.checks.finding import Finding, Severity
from penstock.checks.places import number, signal_finding
from penstock.checks.thresholds import SATURATED_ERROR, SATURATED_GATE, SATURATED_WARNING
from penstock.checks.walk import tail_signals
from penstock.graph import Graph
from penstock.signals import Measured


def _is_gate(graph: Graph, index: int) -> bool:
    """Whether a signal multiplies another one, perhaps after being moved."""
    front, seen = [index], {index}
    while front:
        for reader in (graph.nodes[c] for c in graph.consumers[front.pop()]):
            if reader.kind == "gate":
                return True
            if reader.kind == "move" and reader.index not in seen:
                seen.add(reader.index)
                front.append(reader.index)
    return False


def _run(measured: Measured) -> Iterator[Finding]:
    graph = measured.graph
    tail = tail_signals(graph)
    found: dict[Severity, list[tuple[int, float, float]]] = {"error": [], "warning": []}
    for node, signal in zip(graph.nodes, measured.signals, strict=True):
        if node.kind != "pointwise" or signal is None or signal.saturated_share is None or node.index not in graph.live:
            continue
        share = signal.saturated_share
        if node.index in tail or _is_gate(graph, node.index):
            if share >= SATURATED_GATE:
                found["warning"].append((node.index, share, SATURATED_GATE))
        elif share >= SATURATED_ERROR:
            found["error"].append((node.index, share, SATURATED_ERROR))
        elif share >= SATURATED_WARNING:
            found["warning"].append((node.index, share, SATURATED_WARNING))
    worst: Severity | None = next((s for s in ("error", "warning") if found[s]), None)
    if worst is not None:
        cases = found[worst]
        index, share, limit = cases[0]
        yield signal_finding(
            CHECK,
            measured,
            index,
            others=[i for i, _, _ in cases],
            severity=worst,
            observation=f"{number(100 * share)} % of its elements lie on a flat end of {graph.nodes[index].op}; "
            f"{number(100 * limit)} % is too many.",
            cause="pre-activations far too large: weights with too large a scale, or inputs that are not normalized",
            hint="penstock.initialize(model, batch)",
            value=share,
            threshold=limit,
        )


CHECK = Check(
    code="A102",
    title="units are saturated",
    what="The share of elements of a bounded function's output (tanh, sigmoid, hard-tanh ...) that lie on a flat end. "
    "From 70 % a warning, from 90 % an error; gates and outputs only from 99 %, as a warning.",
    why="On its flat end a function has no slope: the gradient is multiplied by nearly 0 there, and the unit can only "
    "be +1 or -1. The layer passes signs on, learns slowly, and every layer before it more slowly still.",
    picture="""
       1 |           ______#####   most elements are here
         |         /
         |       /     slope only in the middle
      -1 | #####
    """,
    fix="Smaller pre-activations: `penstock.initialize(model, batch)`, or by hand "
    "`torch.nn.init.xavier_normal_(layer.weight)`; normalize the inputs.",
    silent="Gates and outputs that a bias holds open or shut; functions that are flat on one side only (ReLU; see "
    "A101).",
    source="Glorot and Bengio (2010), https://proceedings.mlr.press/v9/glorot10a.html, section 3",
    run=_run,
)
