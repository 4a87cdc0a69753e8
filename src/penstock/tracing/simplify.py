"""From recorded steps to the graph: interiors of regions are dropped, numbers are made dense."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.activations import recognise
from penstock.geometry import Geometry
from penstock.graph import Graph, Node, with_residuals
from penstock.tracing.recording import Recording, Step


def simplify(
    recording: Recording,
    outputs: tuple[int, ...],
    names: Mapping[str, str] | None = None,
    declared: Mapping[str, Geometry] | None = None,
) -> tuple[Graph, tuple[int, ...]]:
    """Build the graph.

    Args:
        recording: what the tracer wrote down.
        outputs: numbers of the model's outputs.
        names: the framework's names of operations -> what people call them.
        declared: axis roles that the model's layers declare; they know more than an operation shows (gates, blocks).

    Returns:
        The graph, and for each of its nodes the number of the recorded step.
    """
    kept = _kept(recording, outputs)
    renumber = {old: new for new, old in enumerate(kept)}
    nodes = tuple(
        _node(recording.steps[old], new, renumber, names or {}, declared or {}) for new, old in enumerate(kept)
    )
    return Graph(with_residuals(nodes), tuple(renumber[o] for o in outputs), tuple(recording.unknown)), tuple(kept)


def _kept(recording: Recording, outputs: tuple[int, ...]) -> list[int]:
    """Steps that an output or a contraction depends on, by way of what the regions read."""
    steps = recording.steps
    wanted = {i for i, s in enumerate(steps) if s.kind in ("contraction", "input") and not s.absorbed} | set(outputs)
    for number in range(len(steps) - 1, -1, -1):
        if number in wanted:
            wanted.update(steps[number].inputs)
    return sorted(wanted)


def _node(
    step: Step, index: int, renumber: Mapping[int, int], names: Mapping[str, str], declared: Mapping[str, Geometry]
) -> Node:
    geometry = step.geometry
    if step.kind == "contraction" and step.parameters and step.parameters[0] in declared:
        own = declared[step.parameters[0]]
        # A layer's own declaration, unless the operation used the same weight in another way (a tied head).
        geometry = own if own.is_weight and (geometry is None or geometry.lookup == own.lookup) else geometry
    known = recognise(step.program) if step.program is not None else None
    return Node(
        index=index,
        kind=step.kind,
        op=known or names.get(step.op, step.op),
        inputs=tuple(renumber[i] for i in step.inputs),
        path=step.path,
        parameters=step.parameters,
        geometry=geometry if geometry is not None and geometry.is_weight else None,
        unit_axis=step.unit_axis,
        function=step.program,
    )
